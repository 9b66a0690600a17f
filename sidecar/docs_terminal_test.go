package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// typedWithin is what one command may take on a busy machine; the longest builds
// the program.
const typedWithin = 2 * time.Minute

// terminal is a shell in a clone of the repository, with a WeChat, a memcached
// and ports of its own: a document's commands are typed into it as they stand,
// with those addresses in place of the ones in the text.
type terminal struct {
	*world
	dir, etc   string // the clone; the root of /etc, /usr/local and /run
	standIns   *standIns
	memcached  string // its address
	instead    *strings.Replacer
	keys       io.Writer
	screen     *bufio.Reader
	transcript strings.Builder
}

// typed is one command and what came of it.
type typed struct {
	line, output string
	exit         int
}

// shell reads the commands from descriptor 3, so that their standard input is
// the AppSecret that somebody would paste.
const shell = `while IFS= read -r line <&3; do eval "$line"; printf '\001%d\n' $?; done`

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	x := &terminal{world: newWorld(t), dir: shortDir(t), memcached: freeAddress(t)}
	entries, err := os.ReadDir(root)
	require.NoError(t, err)
	for _, e := range entries {
		if name := e.Name(); name != "bin" && name != ".git" {
			target, err := filepath.Abs(filepath.Join(root, name))
			require.NoError(t, err)
			require.NoError(t, os.Symlink(target, filepath.Join(x.dir, name)))
		}
	}
	x.copyDocs(t)
	x.etc = filepath.Join(x.dir, "machine")
	for _, folder := range []string{"usr/local/bin", "etc/systemd/system", "run/wxsidecar"} {
		require.NoError(t, os.MkdirAll(filepath.Join(x.etc, folder), 0o755))
	}
	writeFile(t, filepath.Join(x.etc, ".curlrc"), "silent\nshow-error\n")
	x.standIns = newStandIns(t, x.dir)

	api := freeAddress(t)
	port := func(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }
	x.instead = strings.NewReplacer(
		"memcached -l 127.0.0.1", "memcached -l 127.0.0.1 -U 0 -p "+port(x.memcached),
		"11211", port(x.memcached), "127.0.0.1:7200", api, "127.0.0.1:7201", x.ops,
		"https://api.weixin.qq.com", x.url, "/usr/local/bin/", x.etc+"/usr/local/bin/",
		"/etc/wxsidecar", x.etc+"/etc/wxsidecar", "/etc/systemd", x.etc+"/etc/systemd", "/run/wxsidecar", x.etc+"/run/wxsidecar",
	)
	x.open(t, []string{
		"PATH=" + x.standIns.dir + ":" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"),
		"CURL_HOME=" + x.etc, // on a terminal curl shows no progress
		"WECHAT_BASE_URL=" + x.url, "MEMCACHED_SERVERS=" + x.memcached,
		"MEMCACHED_TIMEOUT=2s", "WECHAT_TIMEOUT=10s", // a busy machine is no outage
		"SIDECAR_LISTEN=" + api, "SIDECAR_URL=http://" + api, "SIDECAR_OPS_LISTEN=" + x.ops,
	})
	return x
}

// copyDocs is for the folder that commands write into.
func (x *terminal) copyDocs(t *testing.T) {
	t.Helper()
	docs := filepath.Join(x.dir, "docs")
	require.NoError(t, os.Remove(docs))
	files, err := filepath.Glob(filepath.Join(root, "docs", "*"))
	require.NoError(t, err)
	for _, file := range files {
		writeFile(t, filepath.Join(docs, filepath.Base(file)), fileText(t, file))
	}
}

func (x *terminal) open(t *testing.T, environ []string) {
	t.Helper()
	bash, err := exec.LookPath("bash")
	require.NoError(t, err)
	read, keys, err := os.Pipe()
	require.NoError(t, err)
	screen, write, err := os.Pipe()
	require.NoError(t, err)
	command := exec.Command(bash, "-c", shell)
	command.Dir, command.Env = x.dir, environ
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(testSecret+"\n"), write, write
	command.ExtraFiles = []*os.File{read}
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what it leaves behind ends with it
	require.NoError(t, command.Start())
	require.NoError(t, read.Close())
	require.NoError(t, write.Close())
	t.Cleanup(func() {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL) // all may have ended
		_ = command.Wait()
		_, _ = keys.Close(), screen.Close()
	})
	x.keys, x.screen = keys, bufio.NewReader(screen)
}

// endless are commands that somebody would end with Ctrl-C, and what he has seen
// by then.
var endless = []struct{ command, seen *regexp.Regexp }{
	{regexp.MustCompile(`sidecar token --watch`), regexp.MustCompile(`from memcached`)},
	{regexp.MustCompile(`sidecar demo`), regexp.MustCompile(`app a +reads`)},
}

// ended is the command with an end, once that is seen.
func ended(line string) string {
	for _, e := range endless {
		if e.command.MatchString(line) {
			command, _, _ := strings.Cut(line, "#")
			return "{ " + command + "; } 2>&1 | awk '{ print; fflush() } /" + e.seen.String() + "/ { exit }'"
		}
	}
	return line
}

// enter types one command and waits for its end.
func (x *terminal) enter(t *testing.T, line string) typed {
	t.Helper()
	fmt.Fprintf(&x.transcript, "$ %s\n", line)
	return x.feed(t, line)
}

func (x *terminal) feed(t *testing.T, line string) typed {
	t.Helper()
	run := ended(line)
	if !strings.HasPrefix(line, "kubectl") { // its addresses are the cluster's
		run = x.instead.Replace(run)
	}
	_, err := io.WriteString(x.keys, run+"\n")
	require.NoError(t, err)
	type result struct {
		text string
		err  error
	}
	ended := make(chan result, 1)
	go func() {
		text, err := x.screen.ReadString('\001')
		ended <- result{text, err}
	}()
	var got result
	select {
	case got = <-ended:
	case <-time.After(typedWithin):
		require.Fail(t, "a command does not end", "%s", line)
	}
	require.NoError(t, got.err, "%s", line)
	status, err := x.screen.ReadString('\n')
	require.NoError(t, err)
	exit, err := strconv.Atoi(strings.TrimSpace(status))
	require.NoError(t, err)
	done := typed{line, strings.TrimSuffix(got.text, "\001"), exit}
	x.transcript.WriteString(x.redact(done.output))
	return done
}

// redact shows a token by its fingerprint.
func (x *terminal) redact(text string) string {
	for _, issue := range x.wechat.Issued() {
		text = strings.ReplaceAll(text, issue.Token, "<token "+memcache.Fingerprint(issue.Token)+">")
	}
	return strings.ReplaceAll(strings.ReplaceAll(text, x.dir, "…"), testSecret, "<AppSecret>")
}

// beside starts memcached and a sidecar, as after the quick start.
func (x *terminal) beside(t *testing.T) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(x.dir, "bin"), 0o755))
	require.NoError(t, os.Symlink(binary(t), filepath.Join(x.dir, "bin", "sidecar")))
	x.secretFile(t)
	for _, line := range []string{
		"export WECHAT_APPID=" + appID + " WECHAT_APPSECRET_FILE=./appsecret.txt",
		"memcached -l 127.0.0.1 -u nobody &",
	} {
		require.Zero(t, x.enter(t, line).exit)
	}
}

func (x *terminal) secretFile(t *testing.T) {
	t.Helper()
	writeFile(t, filepath.Join(x.dir, "appsecret.txt"), testSecret+"\n")
}

// memcachedAnswers waits for the memcached that was started.
func (x *terminal) memcachedAnswers(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", x.memcached)
		return err == nil && c.Close() == nil
	}, typedWithin/2, often, "memcached answers")
}

// ready waits for the sidecar that was started.
func (x *terminal) ready(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		exit, _, _ := tell(t, []string{"SIDECAR_OPS_LISTEN=" + x.ops}, "healthcheck")
		return exit == exitFine
	}, typedWithin/2, often, "the sidecar is ready")
	x.feed(t, ":") // what it has printed meanwhile is on the screen before the next command
}
