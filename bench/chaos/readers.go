package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/bench/program"
	"github.com/wxsidecar/wxsidecar/client"
)

const (
	// readEvery is how often each reader in Go reads, one account after the other.
	readEvery = 100 * time.Millisecond
	// readTimeout is longer than the client's 200 ms: the fleet and its readers share
	// one machine, and a reader whose sidecar was killed has memcached alone.
	readTimeout = time.Second
	// longestRead is the longest time that a read can take by the clients' own limits:
	// two time-outs for memcached, 13 s for the sidecar, and a second on a busy machine.
	longestRead = 2*readTimeout + 13*time.Second + time.Second
	// readAtLeast is how often each reader reads if nothing hinders it: a tenth of what
	// the slower one, PHP, is asked for.
	readAtLeast = 1500 * time.Millisecond
)

// nameGo and namePHP return the names of a pod's readers.
func nameGo(p *pod) string  { return fmt.Sprintf("Go, pod %d", p.number) }
func namePHP(p *pod) string { return fmt.Sprintf("PHP, %s, pod %d", phpKind(p), p.number) }

// readGo reads with the Go client until ctx ends.
func (h *harness) readGo(ctx context.Context, p *pod) error {
	c, err := client.New(client.Config{
		AppID: h.accounts[0], Servers: []string{p.proxy.Listen}, Sidecar: "http://" + p.api, Memcached: client.Memcached{Timeout: readTimeout},
	})
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	tick := time.NewTicker(readEvery)
	defer tick.Stop()
	for n := p.number; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		account, at := h.accounts[n%len(h.accounts)], h.now()
		token, err := c.For(account).AccessToken(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			h.judge.read(nameGo(p), account, "", at, failed, err.Error())
		default:
			h.judge.read(nameGo(p), account, token, at, h.verdict(token), "")
		}
	}
}

func (h *harness) verdict(token string) verdict {
	if h.wechat.Accepts(token) != 0 {
		return invalid
	}
	return valid
}

// phpKind returns how a pod's reader in PHP reads: with the Composer package, or with
// the README's lines and either extension.
func phpKind(p *pod) string {
	kinds := []string{"client", "lines memcached", "lines memcache"}
	return kinds[p.number%len(kinds)]
}

// readPHP reads with PHP until ctx ends.
func (h *harness) readPHP(ctx context.Context, p *pod) error {
	php, err := exec.LookPath("php")
	if err != nil {
		return errors.New("php is not installed: run .ci/setup")
	}
	host, port, _ := net.SplitHostPort(p.proxy.Listen)
	process, err := program.Start(ctx, []string{"PATH=" + os.Getenv("PATH")}, php, filepath.Join(h.root, "bench", "chaos", "reader.php"),
		phpKind(p), host, port, "http://"+p.api, strings.Join(h.accounts, ","))
	if err != nil {
		return err
	}
	defer process.Kill()
	for {
		line, err := process.Output.ReadString('\n')
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return process.Failed()
		}
		if err = h.judgePHP(namePHP(p), strings.TrimSuffix(line, "\n")); err != nil {
			return err
		}
	}
}

// judgePHP judges a line: the account, the token's SHA-256 or -, microseconds, and the
// error.
func (h *harness) judgePHP(reader, line string) error {
	fields := strings.SplitN(line, " ", 4)
	if len(fields) != 4 {
		return fmt.Errorf("%s printed a line that cannot be read, of %d bytes", reader, len(line))
	}
	took, err := strconv.Atoi(fields[2])
	at := h.now() - time.Duration(took)*time.Microsecond
	if fields[1] == "-" {
		h.judge.read(reader, fields[0], "", at, failed, fields[3])
		return err
	}
	token := ""
	for _, i := range h.wechat.Issued() {
		if sum := sha256.Sum256([]byte(i.Token)); hex.EncodeToString(sum[:]) == fields[1] {
			token = i.Token
		}
	}
	h.judge.read(reader, fields[0], token, at, h.verdict(token), "")
	return err
}
