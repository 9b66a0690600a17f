package sim

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// verdict asserts the invariants by name, at the end.
func (j *judge) verdict(t *testing.T) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	// Bounded: any ten minutes, while memcached held. One request may be planned.
	stable := slices.ContainsFunc(j.world.pods, func(p *pod) bool { return p.api == wechat.StableToken })
	most := 11
	if stable {
		most = 14 // two planned ones as a token ends, and the one after a forced one that was lost
	}
	for i, first := range j.requests {
		n := 0
		for _, r := range j.requests[i:] {
			if r.at.Sub(first.at) <= 10*time.Minute {
				n++
			}
		}
		if n > most && !j.troubled(first.at.Add(-11*time.Minute), first.at.Add(10*time.Minute), memcachedTrouble) {
			j.brokenAt(first.at, "Bounded", "%d requests in the ten minutes after that", n)
			break
		}
	}
	// One request: if nothing was amiss, requests are a renewal apart. A pod that cannot
	// reach WeChat adds some that are refused, and no others.
	apart := 3290 * time.Second
	if stable {
		apart = 145 * time.Second // the last poll at a token that is about to be replaced
	}
	answered := slices.DeleteFunc(slices.Clone(j.requests), func(r counted) bool { return r.refused })
	for i := 1; i < len(answered); i++ {
		before, at := answered[i-1].at, answered[i].at
		if answered[i].clocksOff == 1 && at.Sub(before) < pollLeast && !j.troubled(before.Add(-11*time.Minute), at, allBut(clockTrouble)...) {
			j.brokenAt(at, "One request", "requests %s apart, and one clock alone is off", at.Sub(before))
		}
		if at.Sub(before) < apart && !j.troubled(before.Add(-11*time.Minute), at, allBut(onePodTrouble)...) {
			j.brokenAt(at, "One request", "requests %s apart, and nothing was amiss", at.Sub(before))
		}
	}
	j.onTime()
	j.tickets.verdict(j)
	logs := j.world.logs.String()
	for _, secret := range []string{"canarytoken", "canarysecret"} {
		if strings.Contains(logs, secret) {
			j.broken("Never leaked", "a log holds a secret or a token")
		}
	}
	if *simLogs != "" && len(j.faults) > 0 {
		_ = os.WriteFile(*simLogs+strings.ReplaceAll(t.Name(), "/", "_"), []byte(fmt.Sprintf("%s\n%s\n%s", strings.Join(j.faults, "\n"), j.world.history(), logs)), 0o600)
	}
	for _, fault := range j.faults {
		if j.mild {
			break
		}
		assert.Fail(t, fault)
	}
}

// onTime judges whether tokens of the classic API came when they were due. Pods that
// cannot reach WeChat put a renewal off until a minute before the entry expires, and by
// no more: that long a pod can hold back that could not reach WeChat when it last tried.
// The caller holds mu.
func (j *judge) onTime() {
	const latest = time.Hour - time.Minute + pollBound
	issued := slices.DeleteFunc(j.world.wechat.Issued(), func(i wechattest.Issue) bool { return i.API != string(wechat.Token) || i.External })
	for i := 1; i < len(issued) && j.world.api == wechat.Token; i++ {
		before, at := issued[i-1].At, issued[i].At
		if at.Sub(before) > latest && !j.troubled(before.Add(-11*time.Minute), at, allBut(onePodTrouble)...) {
			j.brokenAt(at, "Never nothing", "a renewal came %s after the one before, although some sidecar could reach WeChat", at.Sub(before))
		}
	}
}
