package systemtest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// appEnviron returns the variables of an app.
func appEnviron(w *programtest.Backends) []string {
	return []string{"WECHAT_APPID=" + appID, "MEMCACHED_SERVERS=" + w.MemcachedAddress, "SIDECAR_URL=unix://" + w.Socket}
}

// The command prints the token and nothing else.
func TestToken_PrintsTheToken(t *testing.T) {
	t.Parallel()
	w := programtest.NewBackends(t)
	spawn(t, w.Environ)
	ready(t, w.Ops)
	for _, p := range []*process{
		spawn(t, appEnviron(w), "token"),
		spawn(t, appEnviron(w), "token", appID),
		spawn(t, appEnviron(w)[1:], "token", appID),
		spawn(t, append(appEnviron(w), "WECHAT_APPID=wxother"), "token", appID),
		spawn(t, append(w.Environ, "MEMCACHED_SERVERS=127.0.0.1:1"), "token"), // with a sidecar's variables
	} {
		assert.Equal(t, exitFine, p.Ends(t, patience))
		assertSame(t, w.LastToken()+"\n", p.Stdout.String(), "nothing but the token")
		assert.Empty(t, p.Stderr.String())
	}
}

// Without an AppID, or without a token and a sidecar, the error says so.
func TestToken_ErrorsSayWhatIsMissing(t *testing.T) {
	t.Parallel()
	w := programtest.NewBackends(t)
	p := spawn(t, appEnviron(w)[1:], "token")
	assert.Equal(t, exitBadUsage, p.Ends(t, patience))
	assert.Contains(t, p.Stderr.String(), "WECHAT_APPID")
	p = spawn(t, appEnviron(w), "token") // memcached has no entry, and no sidecar runs
	assert.Equal(t, exitFailed, p.Ends(t, patience))
	assert.Contains(t, p.Stderr.String(), "that the sidecar is running")
	assert.Empty(t, p.Stdout.String())
}

// --watch prints fingerprint, source and age, and continues after errors.
func TestToken_Watch(t *testing.T) {
	t.Parallel()
	w := programtest.NewBackends(t)
	sidecar := spawn(t, w.Environ)
	store := w.Store(t)
	eventually(t, func() bool { return programtest.Entry(t, store) != "" }, "an entry")
	p := spawn(t, appEnviron(w), "token", "--watch")
	print := memcache.Fingerprint(w.LastToken())
	line := func(text string) func() bool {
		return func() bool { return strings.Contains(p.Stdout.String(), text) }
	}
	eventually(t, line(print+"  from memcached  seen for 1s"), "a second line from memcached")
	w.Memcached.SetFault(memcachetest.Refuse)
	eventually(t, line(print+"  from sidecar    seen for "), "a line from the sidecar")
	assert.Equal(t, exitFine, sidecar.terminates(t))
	eventually(t, line("no token: client: get access_token"), "an error")
	w.Memcached.SetFault(memcachetest.None)
	failed := strings.Count(p.Stdout.String(), "\n")
	eventually(t, func() bool {
		return strings.Contains(lastLine(p.Stdout.String()), "from memcached") && strings.Count(p.Stdout.String(), "\n") > failed
	}, "it recovers")
	assert.Equal(t, exitFine, p.terminates(t))
	assert.Regexp(t, `^\d\d:\d\d:\d\d `+appID+`  [0-9a-f]{8}  from \w+ +seen for \d+s\n`, p.Stdout.String())
	assert.Empty(t, p.Stderr.String())
	programtest.AssertNoCanary(t, p.Stdout.String())
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
