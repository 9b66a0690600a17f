package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/client"
)

const (
	// readEvery is how often each reader reads, one account after the other.
	readEvery = 100 * time.Millisecond
	// readTimeout is longer than the client's 200 ms: the whole fleet and its
	// readers share one machine, and a reader whose sidecar was killed has only
	// memcached.
	readTimeout = time.Second
	// longestRead is what no read may take: what the clients say of themselves, once
	// the time-out for a dial to memcached and once for its answer, and 13 s for the
	// sidecar; and a second on a busy machine.
	longestRead = 2*readTimeout + 13*time.Second + time.Second
	// readAtLeast is how often each reader reads where nothing hinders it: a tenth of
	// what PHP is asked for, the slower one. One that hangs does not.
	readAtLeast = 1500 * time.Millisecond
)

// read reads with the Go client until ctx ends. WeChat judges each token in the
// moment in which it was read.
func (w *world) read(ctx context.Context, p *pod) error {
	first, err := client.New(client.Config{
		AppID: w.accounts[0], Servers: []string{p.way.Listen}, Sidecar: "http://" + p.api, Timeout: readTimeout,
	})
	if err != nil {
		return err
	}
	defer func() { _ = first.Close() }()
	tick := time.NewTicker(readEvery)
	defer tick.Stop()
	for n := p.number; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		account := w.readable(n)
		at := w.journal.now()
		token, err := first.For(account).AccessToken(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			w.judge.read(inGo(p), account, "", at, failed, err.Error())
		case w.wechat.Accepts(token) != 0:
			w.judge.read(inGo(p), account, token, at, dead, "")
		default:
			w.judge.read(inGo(p), account, token, at, alive, "")
		}
	}
}

// readable is an account, each in its turn.
func (w *world) readable(n int) string { return w.accounts[n%len(w.accounts)] }

// kinds of PHP readers: the Composer package, and the README's lines with either
// extension.
var phpKinds = []string{"client", "lines memcached", "lines memcache"}

func phpKind(p *pod) string { return phpKinds[p.number%len(phpKinds)] }

// inGo and inPHP are the names of a pod's readers.
func inGo(p *pod) string  { return fmt.Sprintf("Go, pod %d", p.number) }
func inPHP(p *pod) string { return fmt.Sprintf("PHP, %s, pod %d", phpKind(p), p.number) }

// readPHP lets PHP read until ctx ends. It tells a token's SHA-256.
func (w *world) readPHP(ctx context.Context, p *pod) error {
	kind := phpKind(p)
	php, err := exec.LookPath("php")
	if err != nil {
		return errors.New("php is not installed: run make setup")
	}
	lines, err := w.phpLines(p, kind)
	if err != nil {
		return err
	}
	host, port, _ := net.SplitHostPort(p.way.Listen)
	out, in := io.Pipe()
	said := &tail{}
	running, err := start([]string{"PATH=" + os.Getenv("PATH")}, false, in, said, php,
		filepath.Join(w.root, "bench", "chaos", "reader.php"), kind, host, port, "http://"+p.api, lines, strings.Join(w.accounts, ","))
	if err != nil {
		return err
	}
	var ending sync.WaitGroup
	ending.Go(func() {
		select {
		case <-ctx.Done():
			running.kill()
		case <-running.ended:
		}
		_ = in.Close()
	})
	defer ending.Wait()
	for scanner := bufio.NewScanner(out); scanner.Scan(); {
		w.judgePHP(inPHP(p), scanner.Text())
	}
	if ctx.Err() == nil {
		return fmt.Errorf("php ended: %s", said)
	}
	return nil
}

// judgePHP judges a line: the account, the token's SHA-256 or -, microseconds, and
// why there is none.
func (w *world) judgePHP(reader, line string) {
	fields := strings.SplitN(line, " ", 4)
	if len(fields) != 4 {
		w.journal.say("PHP said what nobody understands: %d bytes", len(line))
		w.broken.Store(true)
		return
	}
	took, _ := strconv.Atoi(fields[2]) // our own script writes a number
	at := w.journal.now() - time.Duration(took)*time.Microsecond
	if fields[1] == "-" {
		w.judge.read(reader, fields[0], "", at, failed, fields[3])
		return
	}
	verdict, token := dead, ""
	for _, i := range w.wechat.Issued() {
		if sum := sha256.Sum256([]byte(i.Token)); hex.EncodeToString(sum[:]) == fields[1] {
			token = i.Token
		}
	}
	if token != "" && w.wechat.Accepts(token) == 0 {
		verdict = alive
	}
	w.judge.read(reader, fields[0], token, at, verdict, "")
}

// phpLines is a file with the README's PHP, with other addresses and one extension.
func (w *world) phpLines(p *pod, kind string) (string, error) {
	readme, err := os.ReadFile(filepath.Join(w.root, "README.md"))
	if err != nil {
		return "", err
	}
	found := regexp.MustCompile("(?ms)^```php\n(function wx_access_token.*?)^```$").FindSubmatch(readme)
	if found == nil {
		return "", errors.New("the README's PHP was not found")
	}
	host, port, _ := net.SplitHostPort(p.way.Listen)
	code := string(found[1])
	for _, one := range [][2]string{
		{`'memcached', 11211`, "'" + host + "', " + port},
		{`http://127.0.0.1:7200`, "http://" + p.api},
		{`class_exists('Memcached')`, strconv.FormatBool(kind != "lines memcache")},
	} {
		if !strings.Contains(code, one[0]) {
			return "", fmt.Errorf("the README's PHP has no %s", one[0])
		}
		code = strings.ReplaceAll(code, one[0], one[1])
	}
	path := w.path(fmt.Sprintf("lines-%d-%s.php", p.number, strings.ReplaceAll(kind, " ", "-")))
	return path, os.WriteFile(path, []byte("<?php\n"+code), 0o600) //nolint:gosec // in our own folder
}

// tail is the end of what a program printed.
type tail struct {
	mu   sync.Mutex // guards text
	text string
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text += string(p)
	t.text = t.text[max(0, len(t.text)-1000):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text
}
