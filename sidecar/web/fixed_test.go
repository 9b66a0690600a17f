package web_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/mirror"
	"github.com/wxsidecar/wxsidecar/sidecar/quota"
	"github.com/wxsidecar/wxsidecar/sidecar/verify"
	"github.com/wxsidecar/wxsidecar/sidecar/web"
	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

var (
	fixedNow   = time.Date(2026, 11, 23, 15, 4, 5, 0, time.UTC)
	fixedStart = fixedNow.Add(-2*time.Hour - 3*time.Minute)
	noOutage   keeper.Outage
	outage     = keeper.Outage{Server: "memcached:11211", Since: fixedNow.Add(-3 * time.Minute), Err: errors.New("dial tcp 10.0.0.7:11211: connect: connection refused")}
)

// fixedMirrors is one mirror that works and one that fails.
var fixedMirrors = []mirror.State{
	{Name: mirror.File},
	{
		Name: mirror.MySQL, Failing: 2, Since: fixedNow.Add(-4 * time.Minute), Hint: hint.Database,
		Error: "access_token of wx0healthy: dial tcp 10.0.0.8:3306: connect: connection refused; and 1 more",
	},
}

// hostile is a text that others can write into memcached.
const hostile = `</p><script>alert(1)</script><img src=x onerror="x">' & ` + "\u202e\x1b[31m"

// fixedStates is one credential of each health, and one whose texts are hostile.
func fixedStates() []keeper.State {
	day := memcache.Day{Date: 20261123, Requests: 3, Renewals: 2, ForceRefreshes: 1}
	well := keeper.State{
		AppID: "wx0healthy", Kind: memcache.AccessToken, Valid: true, Published: true, Fingerprint: "9f86d081",
		API: wechat.StableToken, By: "pod-7f9c", Age: 2 * time.Minute, Left: 118 * time.Minute, RenewalIn: 53 * time.Minute,
		Today:  day,
		Counts: keeper.Counts{Renewed: 7, Failed: map[string]uint64{"40164": 2, "other": 1, "-1": 3}, Adopted: 5, Reports: 1, ExternalTokens: 4, Contended: 6},
	}
	failing := well
	failing.AppID, failing.Age, failing.Left, failing.RenewalIn = "wx1failing", 58*time.Minute, 62*time.Minute, -90*time.Second
	failing.Published, failing.InDoubt, failing.By = false, true, ""
	failing.Err = &keeper.Error{Code: 45011, Message: wechatSays(45011), Hint: wechat.Hint(45011, ""), RetryAfter: time.Minute}
	failing.FailingSince, failing.Failed = fixedNow.Add(-3*time.Minute), fixedNow.Add(-18*time.Second)
	unavailable := keeper.State{
		AppID: "wx2unavailable", Kind: memcache.AccessToken, Today: memcache.Day{Date: 20261123, Requests: 1},
		Err: &keeper.Error{Code: 40164, Message: wechatSays(40164), Hint: wechat.Hint(40164, wechatSays(40164))},
	}
	unavailable.FailingSince = fixedNow.Add(-51 * time.Hour)
	unavailable.Failed, unavailable.Retry = fixedNow.Add(-12*time.Second), fixedNow.Add(41500*time.Millisecond)
	odd := well
	odd.AppID, odd.By = "wx3hostile", hostile
	odd.Err = &keeper.Error{Code: 98765, Message: hostile, Hint: wechat.Hint(98765, hostile)}
	odd.FailingSince, odd.Failed = fixedNow, fixedNow
	starting := keeper.State{AppID: "wx4starting", Kind: memcache.AccessToken}
	return []keeper.State{well, failing, unavailable, odd, starting}
}

// wechatSays is an errmsg without anything that changes.
func wechatSays(code int) string {
	return map[int]string{
		40164: "invalid ip 1.2.3.4 ipv6 ::ffff:1.2.3.4, not in whitelist rid: 6b04ce44-b42b5475",
		45011: "api minute-quota reach limit, must slower, retry next minute rid: 6b04ce45-b42b5475",
	}[code]
}

// fixedQuota is a reading with external fetches, one without, and one without a count.
func fixedQuota(appID string) *status.Quota {
	external := 5
	at := fixedNow.Add(-12 * time.Minute)
	return map[string]*status.Quota{
		"wx0healthy":     {At: at, Used: 36, Limit: 2000, External: &external, Since: at.Add(-58 * time.Minute)},
		"wx1failing":     {At: at, Used: 31, Limit: 2000},
		"wx2unavailable": {At: at},
	}[appID]
}

// fixedNotes has one note.
func fixedNotes() *status.Notes {
	notes := new(status.Notes)
	notes.Set("memcached:11211", hint.SeveralAddresses("memcached:11211", []string{"10.0.0.4", "10.0.0.5"}))
	return notes
}

// fixedOps is an ops handler over fixed values.
func fixedOps(t *testing.T, states []keeper.State, outage keeper.Outage) http.Handler {
	t.Helper()
	metrics := web.NewMetrics()
	metrics.ObserveMemcached("get", nil)
	metrics.ObserveMemcached("get", errors.New("x"))
	metrics.ObserveMemcached("cas", nil)
	metrics.ObserveMemcached("an operation that a newer version makes", nil)
	metrics.ObserveWeChat(60 * time.Millisecond)
	metrics.ObserveWeChat(12 * time.Second)
	metrics.ObserveSecretCheck(verify.Failing)
	metrics.ObserveQuota(quota.None)
	cfg := web.OpsConfig{
		Group: keeper.New(keeper.Config{}), Metrics: metrics, API: wechat.StableToken,
		Name: "pod-7f9c", Version: `v0.1.0-"quoted\"`, Servers: []string{"memcached:11211"},
		Mirrors: func() []mirror.State { return fixedMirrors }, Notes: fixedNotes(), Quota: fixedQuota,
	}
	return web.OpsOf(cfg, fixedStart, fixedNow, states, outage)
}
