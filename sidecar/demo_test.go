package main

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

func TestTheDemoShowsAllAndEndsByItself(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	exit, stdout, stderr := tell(t, nil, "demo", "--for", "5s")
	assert.Equal(t, exitFine, exit, stdout)
	assert.Empty(t, stderr)
	assert.Less(t, time.Since(begin), 10*time.Second)
	for _, part := range []string{
		"printf 'get wxdemo", "status page: http://127.0.0.1:", "export WECHAT_APPID=wxdemo", "asked WeChat (call 1 of all sidecars together)",
		"from memcached", "external token detected", "restarts", "with 0 calls to WeChat",
		"they all got 1 other token, with 1 call to WeChat", "dead tokens read   0", "reads that failed  0", "calls too many     0",
	} {
		assert.Contains(t, stdout, part)
	}
	programtest.AssertNoCanary(t, stdout)
	assert.NotContains(t, stdout, "\x1b", "no colour without a terminal")
}

func TestTheDemoUsesTheMemcachedThatIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	exit, stdout, stderr := tell(t, []string{"MEMCACHED_SERVERS=" + w.server, "MEMCACHED_KEY_PREFIX=mine:"}, "demo", "--for", "3s")
	assert.Equal(t, exitFine, exit, stdout)
	assert.Empty(t, stderr)
	assert.Contains(t, stdout, "get mine:wxdemo")
	assert.Contains(t, stdout, "loses all that we keep in it")
	assert.Zero(t, w.memcached.Count("flush_all"), "what others keep there stays")
}

func TestTheDemoSaysWhereItsMemcachedIsMissing(t *testing.T) {
	t.Parallel()
	exit, _, stderr := tell(t, []string{"MEMCACHED_SERVERS=" + freeAddress(t)}, "demo", "--for", "1s")
	assert.Equal(t, exitFailed, exit)
	assert.Contains(t, stderr, "MEMCACHED_SERVERS")
}

func TestTheDemoCountsACallThatNobodyNeeded(t *testing.T) {
	t.Parallel()
	var out programtest.Output
	d := &demo{narrator: newNarrator(&out, nil), appID: appID, wechat: wechattest.New()}
	now := time.Now()
	d.wechat.SetNow(func() time.Time { return now })
	d.wechat.AddAccount(appID, testSecret)
	fetch := func(after time.Duration) {
		now = now.Add(after)
		d.wechat.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET",
			"/cgi-bin/token?grant_type=client_credential&appid="+appID+"&secret="+testSecret, nil))
	}
	fetch(0)
	fetch(demoLife / 2)
	d.wechat.Steal(appID)
	d.causes = []time.Time{now}
	fetch(time.Second) // for the theft
	ahead, extra := d.renewals()
	assert.Equal(t, []int{1, 0}, []int{ahead, extra})
	fetch(time.Second) // for nothing
	ahead, extra = d.renewals()
	assert.Equal(t, []int{1, 1}, []int{ahead, extra})

	d.apps = []*demoApp{{reads: 3, dead: 1}, {reads: 3, failed: 1}}
	d.summary()
	assert.Equal(t, []string{"no app reads a dead token", "no app is left without a token", "two sidecars call WeChat once per renewal"}, d.broken)
	assert.Contains(t, out.String(), "DID NOT HOLD: no app reads a dead token")
}
