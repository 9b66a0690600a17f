//go:build languages

package sdktest

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/entries"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// language is a language of docs/clients.md. The example and the driver, which sends
// requests with it, are in one folder.
type language struct {
	name      string // of the page's code block
	contains  string // a text of that block
	file      string // the example's
	driver    string // in testdata/languages
	prepare   []string
	command   []string
	memcached bool // it reads memcached
}

// languages are all, by the names of make languages.
var languages = map[string]language{
	"node":   {name: "js", contains: "from 'memjs'", file: "wx.mjs", driver: "run.mjs", command: []string{"node", "run.mjs"}, memcached: true},
	"python": {name: "python", contains: "from pymemcache", file: "wx.py", driver: "run.py", command: []string{"/usr/bin/python3", "run.py"}, memcached: true},
	"java": {
		name: "java", contains: "class Wx", file: "Wx.java", driver: "Run.java",
		prepare: []string{"javac", "-Xlint:all", "-Werror", "Wx.java", "Run.java"}, command: []string{"java", "Run"},
	},
}

// selected are the languages that WXSIDECAR_LANGUAGES names.
func selected(t *testing.T) []string {
	t.Helper()
	names := strings.Fields(os.Getenv("WXSIDECAR_LANGUAGES"))
	require.NotEmpty(t, names, "run make languages")
	for _, name := range names {
		require.Contains(t, languages, name)
	}
	return names
}

// lines returns the page's lines, with other addresses.
func (l language) lines(t *testing.T, memcached, api string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "clients.md"))
	require.NoError(t, err)
	for _, found := range regexp.MustCompile("(?ms)^```"+l.name+"\n(.*?)^```$").FindAllStringSubmatch(string(page), -1) {
		if !strings.Contains(found[1], l.contains) {
			continue
		}
		require.Equal(t, l.memcached, strings.Contains(found[1], "memcached:11211"))
		require.Contains(t, found[1], "http://127.0.0.1:7200")
		return strings.NewReplacer("memcached:11211", memcached, "http://127.0.0.1:7200", "http://"+api).Replace(found[1])
	}
	require.Fail(t, "no such example", l.contains)
	return ""
}

// install writes the example and its driver into a folder, and returns the folder.
func (l language) install(t *testing.T, memcached, api string) string {
	t.Helper()
	dir := t.TempDir()
	programtest.WriteFile(t, filepath.Join(dir, l.file), l.lines(t, memcached, api))
	driver, err := os.ReadFile(filepath.Join("testdata", "languages", l.driver))
	require.NoError(t, err)
	programtest.WriteFile(t, filepath.Join(dir, l.driver), string(driver))
	modules, err := filepath.Abs(filepath.Join("..", "..", "bin", "_languages", "node_modules"))
	require.NoError(t, err)
	require.NoError(t, os.Symlink(modules, filepath.Join(dir, "node_modules")))
	if l.prepare != nil {
		command := exec.Command(l.prepare[0], l.prepare[1:]...)
		command.Dir = dir
		out, err := command.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	return dir
}

// run starts the driver in a folder.
func (l language) run(t *testing.T, dir string, environ ...string) *programtest.Process {
	t.Helper()
	arguments := append([]string{"-c", `cd "$0" && exec "$@"`, dir}, l.command...)
	return programtest.Start(t, append([]string{"APPID=" + appID}, environ...), "/bin/sh", arguments...)
}

// doorway forwards connections to a sidecar, which can be replaced, as a Service does.
type doorway struct {
	address string

	mu sync.Mutex // guards to
	to string
}

func newDoorway(t *testing.T, to string) *doorway {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	d := &doorway{address: listener.Addr().String(), to: to}
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			go d.forward(near)
		}
	}()
	return d
}

func (d *doorway) forward(near net.Conn) {
	defer func() { _ = near.Close() }()
	d.mu.Lock()
	to := d.to
	d.mu.Unlock()
	far, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }()
	go func() { _, _ = io.Copy(far, near); _ = far.Close() }()
	_, _ = io.Copy(near, far)
}

func (d *doorway) leadTo(address string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.to = address
}

// replaceSidecar starts another sidecar, leads apps to it, and stops the first one. The
// budget begins anew: ten renewals of such short-lived tokens use it up.
func (w *world) replaceSidecar(t *testing.T, door *doorway) {
	t.Helper()
	old := w.sidecar
	w.api = programtest.Address(t)
	w.environ = append(w.environ, "SIDECAR_LISTEN="+w.api)
	w.start(t)
	door.leadTo(w.api)
	old.Signal(syscall.SIGTERM)
	require.Equal(t, 0, old.Ends(t, patience))
	for n := range 10 {
		w.memcached.Ask(t, fmt.Sprintf("delete %s:budget:%d", appID, n))
	}
}

// The examples of docs/clients.md run beside a sidecar: over ten renewals (two in the short
// form), a replaced sidecar and an external fetch. None requests a token from WeChat, and
// each refusal is healed by one report and one repetition.
func TestLanguages_BesideOneSidecar(t *testing.T) {
	names := selected(t)
	half := 1
	if long() {
		half = 5
	}
	s := &stage{plan: plan{life: 20 * time.Second, grace: 6 * time.Second}, world: newWorld(t)}
	s.wechat.SetExpiresIn(s.life)
	s.wechat.SetGrace(s.grace)
	s.start(t)
	door := newDoorway(t, s.api)

	var all []*program
	for _, name := range names {
		l := languages[name]
		all = append(all, &program{name: name, start: func(t *testing.T, s *stage, e *endpoint) func() tally {
			t.Helper()
			p := l.run(t, l.install(t, s.memcached.Address, door.address), "API="+e.url, "CA="+e.ca, "SSL_CERT_FILE="+e.ca, "NODE_EXTRA_CA_CERTS="+e.ca)
			return func() tally {
				_ = p.Stdin.Close() // ends it
				p.Ends(t, patience)
				programtest.AssertNoCanary(t, p.Stdout.String()+p.Stderr.String())
				var result tally
				require.NoError(t, json.Unmarshal([]byte(p.Stdout.String()), &result), "%s: %s", name, p.Stderr.String())
				return result
			}
		}})
	}
	for _, p := range all {
		p.begin(t, s)
		require.Eventually(t, func() bool { return p.endpoint.counts().uses > 0 }, patience, 10*time.Millisecond, "%s has a token", p.name)
	}
	s.awaitIssues(t, half)
	s.replaceSidecar(t, door)
	s.awaitIssues(t, half)
	for _, p := range all {
		c := p.endpoint.counts()
		assert.Equal(t, count{uses: c.uses}, c, "%s, over %d renewals", p.name, 2*half)
	}
	// The second fetch invalidates the sidecar's token at once, in the middle of its life.
	s.wechat.FetchExternally(appID)
	s.wechat.FetchExternally(appID)
	for _, p := range all {
		uses := p.endpoint.counts().uses
		require.Eventually(t, func() bool { return p.endpoint.counts().uses >= uses+10 }, patience, 10*time.Millisecond)
	}
	table := "\n\n| language | requests | requests for a token | refused | healed by a repetition | failed |\n|---|--:|--:|--:|--:|--:|\n"
	refused := 0
	for _, p := range all {
		p.end(t)
		assert.Zero(t, p.count.fetches, "%s requested a token from WeChat", p.name)
		assert.Zero(t, p.without(), "%s had no token: %s", p.name, p.tally.Error)
		assert.LessOrEqual(t, p.count.invalid, 1, "%s", p.name)
		assert.Equal(t, p.tally.Requests+p.count.invalid, p.count.uses, "%s repeats what was refused, and nothing else", p.name)
		refused += p.count.invalid
		table += fmt.Sprintf("| %s | %d | %d | %d | %d | %d |\n", p.name, p.tally.Requests, p.count.fetches, p.count.invalid, p.count.invalid, p.tally.Failed)
	}
	assert.Positive(t, refused)
	assert.Equal(t, s.sidecarEndpoint.counts().fetches, s.wechat.Requests("", ""), "only the sidecars sent requests for a token")
	t.Logf("%s\n%d renewals, %d requests to WeChat, all by the sidecars", table, s.wechat.Issues(appID)-1, s.wechat.Requests("", ""))
}

// awaitIssues waits for more renewals, and until memcached has the last one.
func (s *stage) awaitIssues(t *testing.T, more int) {
	t.Helper()
	want := s.wechat.Issues(appID) + more
	require.Eventually(t, func() bool {
		issued := s.wechat.Issued()
		return s.wechat.Issues(appID) >= want && s.entry(t, memcache.AccessToken) == issued[len(issued)-1].Token
	}, time.Duration(more)*s.life+patience, 10*time.Millisecond, "renewals")
}

// Each example that reads memcached has the rule of validity of all readers. If memcached is
// down or hangs, it asks the sidecar.
func TestLanguages_Entries(t *testing.T) {
	w := newWorld(t, "MEMCACHED_KEY_PREFIX=elsewhere:") // so that the examples' key stays empty
	w.sidecar = spawn(t, w.environ, binary(t))
	require.Eventually(t, func() bool { return w.wechat.Issues(appID) == 1 }, patience, 10*time.Millisecond)
	own := w.wechat.Issued()[0].Token
	for _, name := range selected(t) {
		l := languages[name]
		if !l.memcached {
			continue
		}
		p := l.run(t, l.install(t, w.memcached.Address, w.api), "LINES=1")
		assert.Equal(t, digest(own), tokenOf(t, p), "%s, a miss", name)
		for _, value := range entries.Values(t) {
			set := fmt.Sprintf("set %s %d 60 %d\r\n%s", appID, value.Flags, len(value.Text), value.Text)
			require.Equal(t, "STORED", w.memcached.Ask(t, set))
			want, got := digest(own), tokenOf(t, p)
			if value.Valid {
				want = digest(value.Text)
			}
			// On a busy machine a read can take longer than the example waits. Then it asks the sidecar.
			for again := 0; value.Valid && got != want && again < 20; again++ {
				got = tokenOf(t, p)
			}
			assert.Equal(t, want, got, "%s, %s", name, value.Name)
		}
		w.memcached.Signal(syscall.SIGSTOP)
		start := time.Now()
		assert.Equal(t, digest(own), tokenOf(t, p), "%s, memcached hangs", name)
		assert.Less(t, time.Since(start), 5*time.Second, name)
		w.memcached.Signal(syscall.SIGCONT)
		down := l.run(t, l.install(t, programtest.Address(t), w.api), "LINES=1")
		assert.Equal(t, digest(own), tokenOf(t, down), "%s, memcached is down", name)
		for _, p := range []*programtest.Process{p, down} {
			require.NoError(t, p.Stdin.Close())
			assert.Equal(t, 0, p.Ends(t, patience))
			assert.Empty(t, programtest.Redact(p.Stderr.String()), name)
		}
	}
}

// tokenOf asks a driver for a token, and returns its digest.
func tokenOf(t *testing.T, p *programtest.Process) string {
	t.Helper()
	before := strings.Count(p.Stdout.String(), "\n")
	_, err := io.WriteString(p.Stdin, "\n")
	require.NoError(t, err)
	var lines []string
	require.Eventually(t, func() bool {
		lines = strings.Split(p.Stdout.String(), "\n")
		return len(lines) > before+1
	}, patience, time.Millisecond, "a token")
	return digest(lines[before])
}

func digest(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }

// An example is short, and throws the sidecar's error.
func TestLanguages_ShortAndClear(t *testing.T) {
	w := newWorld(t)
	w.start(t)
	for _, name := range selected(t) {
		l := languages[name]
		code := slices.DeleteFunc(strings.Split(l.lines(t, w.memcached.Address, w.api), "\n"), func(line string) bool {
			line = strings.TrimSpace(line)
			return len(line) < 3 || strings.HasPrefix(line, "import ") || strings.HasPrefix(line, "from ") || strings.HasPrefix(line, "//")
		})
		assert.LessOrEqual(t, len(code), 20, "%s, lines", name)
		p := l.run(t, l.install(t, w.memcached.Address, w.api), "APPID=wxunknown", "LINES=1")
		_, err := io.WriteString(p.Stdin, "\n")
		require.NoError(t, err)
		assert.NotEqual(t, 0, p.Ends(t, patience), name)
		assert.Contains(t, p.Stderr.String(), "40013", name)
		assert.Contains(t, p.Stderr.String(), "invalid appid: not configured in this sidecar", name)
	}
}
