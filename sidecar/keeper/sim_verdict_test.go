package keeper_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// verdict asserts the invariants by name, at the end.
func (j *judge) verdict(t *testing.T) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	// Bounded: any ten minutes, while memcached held. One call may be planned.
	most := 11
	if j.world.api == wechat.StableToken {
		most = 14 // two planned ones as a token ends, and the call after a forced one that was lost
	}
	for i := range j.calls {
		n := 0
		for _, at := range j.calls[i:] {
			if at.Sub(j.calls[i]) <= 10*time.Minute {
				n++
			}
		}
		if n > most && !j.troubled(j.calls[i].Add(-11*time.Minute), j.calls[i].Add(10*time.Minute), memcachedTrouble) {
			j.broken("Bounded", "%d calls in the ten minutes after %s", n, j.calls[i].Sub(j.world.start))
			break
		}
	}
	// One call: where nothing was amiss, calls are a renewal apart.
	apart := 3290 * time.Second
	if j.world.api == wechat.StableToken {
		apart = 145 * time.Second // the last look at a token that is about to be replaced
	}
	for i := 1; i < len(j.calls); i++ {
		before, at := j.calls[i-1], j.calls[i]
		// A report that met the day's quota is renewed for after that wait of an hour,
		// by two calls where stable_token then gives the same token to the first.
		waited := j.world.api == wechat.StableToken && j.troubled(before.Add(-time.Hour-time.Minute), at, wechatTrouble)
		if at.Sub(before) < apart && !waited && !j.troubled(before.Add(-11*time.Minute), at) {
			j.broken("One call", "calls %s apart at %s, and nothing was amiss", at.Sub(before), at.Sub(j.world.start))
		}
	}
	j.tickets.verdict(j)
	logs := j.world.logs.String()
	for _, secret := range []string{"canarytoken", "canarysecret"} {
		if strings.Contains(logs, secret) {
			j.broken("Never leaked", "a log holds a secret or a token")
		}
	}
	if *simLogs != "" && len(j.faults) > 0 {
		_ = os.WriteFile(*simLogs+strings.ReplaceAll(t.Name(), "/", "_"), []byte(strings.Join(j.faults, "\n")+"\n"+logs), 0o600)
	}
	for _, fault := range j.faults {
		assert.Fail(t, fault)
	}
}
