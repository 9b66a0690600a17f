package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// app is the variables of an app.
func (w *world) app() []string {
	return []string{"WECHAT_APPID=" + appID, "MEMCACHED_SERVERS=" + w.server, "SIDECAR_URL=unix://" + w.socket}
}

func TestTokenPrintsTheTokenThatAnAppWouldGet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	start(t, w.environ)
	for _, p := range []*process{
		spawn(t, w.app(), "token"),
		spawn(t, w.app(), "token", appID),
		spawn(t, w.app()[1:], "token", appID),
		spawn(t, append(w.app(), "WECHAT_APPID=wxother"), "token", appID),
	} {
		assert.Equal(t, exitFine, p.Ends(t, patience))
		assertSame(t, w.last()+"\n", p.Stdout.String(), "nothing but the token")
		assert.Empty(t, p.Stderr.String())
	}
}

func TestTokenSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := spawn(t, w.app()[1:], "token")
	assert.Equal(t, exitBadUsage, p.Ends(t, patience))
	assert.Contains(t, p.Stderr.String(), "WECHAT_APPID")
	p = spawn(t, w.app(), "token") // nobody put one there, and no sidecar runs
	assert.Equal(t, exitFailed, p.Ends(t, patience))
	assert.Contains(t, p.Stderr.String(), "check SIDECAR_URL")
	assert.Empty(t, p.Stdout.String())
}

func TestWatchTellsFingerprintSourceAndAgeAndSurvivesErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sidecar := start(t, w.environ)
	store := w.store(t)
	eventually(t, func() bool { return entry(t, store) != "" }, "an entry")
	p := spawn(t, w.app(), "token", "--watch")
	print := memcache.Fingerprint(w.last())
	line := func(text string) func() bool {
		return func() bool { return strings.Contains(p.Stdout.String(), text) }
	}
	eventually(t, line(print+"  from memcached  seen for 1s"), "a second line from memcached")
	w.memcached.SetFault(memcachetest.Refuse)
	eventually(t, line(print+"  from sidecar    seen for "), "a line from the sidecar")
	sidecar.stop()
	assert.Equal(t, exitFine, sidecar.ends(t))
	eventually(t, line("no token: client: get access_token"), "an error")
	w.memcached.SetFault(memcachetest.None)
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
