package keeper

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// Each of WeChat's classes has one of the protocol's. A missing one would count as
// Transient.
func TestClasses_AreComplete(t *testing.T) {
	t.Parallel()
	n := wechat.Class(0)
	for ; !strings.HasPrefix(n.String(), "class("); n++ {
		assert.Equal(t, n.String(), string(classes[n]))
	}
	assert.Len(t, classes, int(n))
}

// A sidecar does not take over a cooldown that another one wrote for as long as WeChat
// says to wait.
func TestCooldownMost_AllowsEachWait(t *testing.T) {
	t.Parallel()
	longest := time.Duration(0)
	for code := -1000; code < 100_000; code++ {
		wait := wechat.Wait(code)
		longest = max(longest, wait)
		assert.GreaterOrEqual(t, cooldownMost(&memcache.Cooldown{Class: string(protocol.Timed), ErrCode: code}), wait, "errcode %d", code)
	}
	assert.Equal(t, 24*time.Hour, longest)
}
