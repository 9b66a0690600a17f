package sim

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// A pod starts before its network works: neither memcached nor WeChat can be reached. The
// first token is published within 5 s after both can.
func TestAttack_StartBeforeTheNetwork(t *testing.T) {
	t.Parallel()
	for _, fault := range []wechatFault{noRoute, dialTimesOut} {
		for _, away := range []time.Duration{
			time.Second, 4 * time.Second, 8 * time.Second, 9 * time.Second, 10 * time.Second, 11 * time.Second, 12 * time.Second, 20 * time.Second, 47 * time.Second,
		} {
			t.Run(fmt.Sprintf("%d_%s", fault, away), func(t *testing.T) {
				t.Parallel()
				took := time.Duration(0)
				w := attack(t, 701, wechat.Token, 1, 0, func(ctx context.Context, w *world) {
					p := w.pods[0]
					p.end(true)
					w.memcached.Flush()
					w.memcached.SetFault(memcachetest.Hang)
					p.failWeChat(fault)
					p.start()
					sleep(ctx, away)
					w.memcached.SetFault(memcachetest.None)
					p.reachWeChat()
					took = w.healed(ctx, appID, time.Minute)
				})
				assert.LessOrEqual(t, took, 5*time.Second, "from the network to the entry")
				w.t = t
				w.figures("both away for "+away.String(), w.requestsSince(w.start), "published after", took)
			})
		}
	}
}

// The network comes back, and the first command of a kind still times out, although polls are
// answered. The renewal is tried again at once, not when the next request without memcached
// would be allowed.
func TestAttack_StartAndACommandTimesOut(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"add", "cas", "incr"} {
		for _, away := range []time.Duration{8 * time.Second, 12 * time.Second} {
			t.Run(fmt.Sprintf("%s_%s", verb, away), func(t *testing.T) {
				t.Parallel()
				took, failed := time.Duration(0), false
				w := attack(t, 702, wechat.Token, 1, 0, func(ctx context.Context, w *world) {
					p := w.pods[0]
					p.end(true)
					w.memcached.Flush()
					w.memcached.SetFault(memcachetest.Hang)
					p.failWeChat(noRoute)
					p.start()
					sleep(ctx, away)
					w.memcached.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
						if c.Verb != verb || failed {
							return memcachetest.None
						}
						failed = true
						return memcachetest.Hang
					})
					w.memcached.SetFault(memcachetest.None)
					p.reachWeChat()
					took = w.healed(ctx, appID, time.Minute)
					w.memcached.OnCommand(nil)
				})
				w.t = t
				w.figures(verb+" times out once, after "+away.String(), w.requestsSince(w.start), "published after", took)
				assert.True(t, failed, "the command was sent")
				assert.LessOrEqual(t, took, 5*time.Second, "from the network to the entry")
			})
		}
	}
}
