package sim

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

var wechatFaults = map[string]wechatFault{"off_the_whitelist": offWhitelist, "no_route": noRoute, "dial_times_out": dialTimesOut}

// One sidecar of five cannot reach WeChat: its node is not on the whitelist, or
// has no route. The others renew within one poll, and no reader notices.
func TestAttack_OneSidecarCannotReachWeChat(t *testing.T) {
	t.Parallel()
	for name, fault := range wechatFaults {
		t.Run(name+"_for_a_day", func(t *testing.T) {
			t.Parallel()
			w := attack(t, 101, wechat.Token, 5, 20, func(ctx context.Context, w *world) {
				sleep(ctx, time.Hour)
				requests := w.requestsSince(w.start)
				requests[len(requests)-1].pod.failWeChat(fault) // its jitter is the shortest: it is the first to renew
				sleep(ctx, long(24*time.Hour))
			})
			late := w.farthest() - 3330*time.Second
			assert.LessOrEqual(t, late, 50*time.Second, "the latest renewal, beyond its jitter")
			unharmed(t, w)
			w.t = t
			w.figures(name+" for a day", w.requestsSince(w.start), "late", late)
		})
	}
}

// The sidecar that cannot reach WeChat owns a report. Another one renews for it
// within one poll.
func TestAttack_ReportBesideFailingSidecar(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		api   wechat.API
		fault wechatFault
	}{
		{"token_off_the_whitelist", wechat.Token, offWhitelist},
		{"token_no_route", wechat.Token, noRoute},
		{"token_dial_times_out", wechat.Token, dialTimesOut},
		{"stable_token_off_the_whitelist", wechat.StableToken, offWhitelist},
		{"stable_token_no_route", wechat.StableToken, noRoute},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			longest, bound := time.Duration(0), 20*time.Second
			if c.fault == dialTimesOut {
				bound += wechat.DefaultTimeout
			}
			invalid := 0
			w := attack(t, 102, c.api, 5, 0, func(ctx context.Context, w *world) {
				w.pods[0].failWeChat(c.fault)
				sleep(ctx, 10*time.Minute)
				for range 8 {
					token := w.held(ctx, w.pods[0])
					w.invalidate()
					// This sidecar owns the report, and its app may have to ask again.
					go func() { _, _ = w.pods[0].client.Refresh(ctx, token) }()
					longest = max(longest, w.healed(ctx, appID, 20*time.Minute))
					for _, p := range w.pods {
						if w.wechat.Accepts(w.held(ctx, p)) != 0 {
							invalid++
						}
					}
					sleep(ctx, 20*time.Minute)
				}
			})
			assert.LessOrEqual(t, longest, bound, "from a report to a valid token")
			assert.Zero(t, invalid, "reads after that without a valid token")
			w.t = t
			w.figures("a report, "+c.name, w.requestsSince(w.start), "healed after", longest)
		})
	}
	t.Run("ticket_no_route", func(t *testing.T) {
		t.Parallel()
		longest := time.Duration(0)
		w := attack(t, 104, wechat.Token, 5, 0, func(ctx context.Context, w *world) {
			w.pods[0].failWeChat(noRoute)
			sleep(ctx, 10*time.Minute)
			for range 4 {
				ticket, _ := w.pods[0].client.Ticket(ctx, client.JSAPI)
				w.wechat.VoidTickets(appID)
				go func() { _, _ = w.pods[0].client.RefreshTicket(ctx, client.JSAPI, ticket) }()
				longest = max(longest, w.healed(ctx, simTicket, 20*time.Minute))
				sleep(ctx, 20*time.Minute)
			}
		}, memcache.JSAPITicket)
		assert.LessOrEqual(t, longest, 20*time.Second, "from a report to a valid ticket")
		w.t = t
		w.figures("a report of a ticket, no route", w.requestsSince(w.start), "healed after", longest)
	})
}

// A fleet that is off the whitelist makes one request for each wait, serves its
// token until it expires, and recovers by itself.
func TestAttack_WholeFleetOffWhitelist(t *testing.T) {
	t.Parallel()
	var from time.Time
	recovered := time.Duration(0)
	failedWhileValid := 0
	w := attack(t, 103, wechat.Token, 5, 20, func(ctx context.Context, w *world) {
		sleep(ctx, time.Minute)
		w.untilDue(ctx)
		from = time.Now()
		for _, p := range w.pods {
			p.failWeChat(offWhitelist)
		}
		sleep(ctx, time.Until(w.wechat.Issued()[0].Expires.Add(-10*time.Second)))
		_, failedWhileValid = w.judge.counted()
		sleep(ctx, 2*time.Hour)
		for _, p := range w.pods {
			p.reachWeChat()
		}
		recovered = w.healed(ctx, appID, 20*time.Minute)
		sleep(ctx, time.Hour)
	})
	requests := w.requestsSince(from)
	assert.LessOrEqual(t, mostInTenMinutes(requests), 11, "requests in ten minutes")
	assert.LessOrEqual(t, recovered, 150*time.Second, "from the end of the fault to a valid token")
	assert.Zero(t, failedWhileValid, "reads that failed while the token was valid")
	invalid, _ := w.judge.counted()
	assert.Zero(t, invalid, "reads of invalid tokens")
	w.t = t
	w.figures("the whole fleet off the whitelist", requests, "recovered after", recovered)
}

// A sidecar that cannot reach WeChat hands over the report of a token that is valid, and
// WeChat gives that token again: one request answers the report, however slow it is.
func TestAttack_SameTokenAfterHandover(t *testing.T) {
	t.Parallel()
	for _, slow := range []time.Duration{0, 4 * time.Second} {
		var from time.Time
		w := attack(t, 105, wechat.StableToken, 5, 0, func(ctx context.Context, w *world) {
			sleep(ctx, 10*time.Minute)
			w.pods[1].report(ctx) // takes the one forced renewal in 75 minutes
			sleep(ctx, 12*time.Minute)
			w.pods[0].failWeChat(noRoute)
			defer w.slowCalls(slow)()
			from = time.Now()
			w.pods[0].report(ctx)
			sleep(ctx, 20*time.Minute)
		})
		assert.Len(t, w.requestsSince(from), 1, "WeChat takes %s", slow)
	}
}

// A sidecar that could not reach WeChat takes its turn 20 s after the others, and says so.
func TestAttack_HoldBackIsShown(t *testing.T) {
	t.Parallel()
	var before, after time.Duration
	attack(t, 106, wechat.Token, 5, 0, func(ctx context.Context, w *world) {
		sleep(ctx, time.Hour)
		requests := w.requestsSince(w.start)
		first := requests[len(requests)-1].pod // the next to renew too
		due := func() time.Duration {
			s := first.process.group.States()[0]
			return s.Age + s.RenewalIn
		}
		before = due()
		first.failWeChat(noRoute)
		sleep(ctx, time.Hour)
		first.reachWeChat()
		after = due()
	})
	assert.InDelta(t, (before + 20*time.Second).Seconds(), after.Seconds(), 1)
}
