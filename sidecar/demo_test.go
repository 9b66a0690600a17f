package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestTheDemoShowsAllAndEndsByItself(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	exit, stdout, stderr := tell(t, nil, "demo", "--for", "5s")
	assert.Equal(t, exitFine, exit, stdout)
	assert.Empty(t, stderr)
	assert.Less(t, time.Since(begin), 10*time.Second)
	for _, part := range []string{
		"printf 'get wxdemo", "export WECHAT_APPID=wxdemo", "asked WeChat (call 1 of all sidecars together)",
		"from memcached", "a stranger fetched a token", "restarts", "with 0 calls to WeChat",
		"they all got 1 other token, with 1 call to WeChat", "dead tokens read   0", "reads that failed  0", "calls too many     0",
	} {
		assert.Contains(t, stdout, part)
	}
	assertNoCanary(t, stdout)
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
