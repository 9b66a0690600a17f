package quota

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// External fetches are the growth of WeChat's count less what the sidecars sent. They are
// unknown if a count fell or was lost.
func TestNext_ExternalFetches(t *testing.T) {
	t.Parallel()
	const sent = 1_763_700_000_000_031
	now := time.Unix(1763811900, 0)
	before := &memcache.Quota{V: 1, At: 1763808420, Used: 31, Limit: 2000, Sent: sent}
	of := func(n int) *int { return &n }
	for name, tt := range map[string]struct {
		before *memcache.Quota
		got    wechat.Quota
		sent   int64
		want   *int
	}{
		"none":                       {before, wechat.Quota{Used: 32, Limit: 2000}, sent + 1, of(0)},
		"five":                       {before, wechat.Quota{Used: 37, Limit: 2000}, sent + 1, of(5)},
		"nothing was sent":           {before, wechat.Quota{Used: 33, Limit: 2000}, sent, of(2)},
		"more sent than counted":     {before, wechat.Quota{Used: 31, Limit: 2000}, sent + 4, of(0)},
		"the first reading":          {nil, wechat.Quota{Used: 33, Limit: 2000}, sent, nil},
		"the count fell":             {before, wechat.Quota{Used: 30, Limit: 2000}, sent, nil},
		"our number was lost":        {before, wechat.Quota{Used: 33, Limit: 2000}, sent + 5_000_000, nil},
		"our number is lower":        {before, wechat.Quota{Used: 33, Limit: 2000}, sent - 1, nil},
		"our number was not read":    {before, wechat.Quota{Used: 33, Limit: 2000}, 0, nil},
		"it was not read before":     {&memcache.Quota{At: 1, Used: 31, Limit: 2000}, wechat.Quota{Used: 33, Limit: 2000}, sent, nil},
		"no count":                   {before, wechat.Quota{}, sent, nil},
		"no count before":            {&memcache.Quota{At: 1, Sent: sent}, wechat.Quota{Used: 33, Limit: 2000}, sent, nil},
		"the quota is used up":       {before, wechat.Quota{Used: 2000, Limit: 2000}, sent + 9, of(1960)},
		"WeChat raised its limit":    {before, wechat.Quota{Used: 33, Limit: 4000}, sent, of(2)},
		"the sidecars sent them all": {before, wechat.Quota{Used: 131, Limit: 2000}, sent + 100, of(0)},
	} {
		q := next(tt.before, tt.got, tt.sent, "pod", now)
		want := &memcache.Quota{V: 1, At: now.Unix(), By: "pod", Used: tt.got.Used, Limit: tt.got.Limit, Sent: tt.sent, External: tt.want}
		if tt.want != nil {
			want.Since = before.At
		}
		assert.Equal(t, want, q, name)
	}
}

// More than two, and more than 1 % of today's requests, are not explained by an inexact
// count.
func TestIsMuch_AboveTwoAndOnePercent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		external, used int
		much           bool
	}{{0, 0, false}, {2, 2, false}, {3, 3, true}, {2, 300, false}, {3, 300, false}, {4, 300, true}, {20, 2000, false}, {21, 2000, true}} {
		assert.Equal(t, tt.much, isMuch(&memcache.Quota{External: &tt.external, Used: tt.used}), "%+v", tt)
	}
	assert.False(t, isMuch(&memcache.Quota{Used: 5}), "unknown")
}

// A reading by a sidecar whose clock is ahead stops nothing.
func TestNextCheck_ClockAhead(t *testing.T) {
	t.Parallel()
	now := time.Unix(1763811900, 0)
	for at, want := range map[time.Time]time.Duration{
		now: every, now.Add(-every): 0, now.Add(-24 * time.Hour): every - 24*time.Hour, now.Add(time.Hour): every, now.Add(24 * time.Hour): every,
	} {
		assert.Equal(t, want, nextCheck(&memcache.Quota{At: at.Unix()}, now).Sub(now))
	}
}

// A reading by a sidecar whose clock is ahead does not hide the readings after it.
func TestNote_ClockAhead(t *testing.T) {
	t.Parallel()
	w, a, now := New(Config{}), &account{}, time.Now()
	w.note(a, &memcache.Quota{At: now.Add(2 * time.Hour).Unix(), Used: 1, Limit: 2000})
	w.note(a, &memcache.Quota{At: now.Unix(), Used: 2, Limit: 2000})
	assert.Equal(t, 2, a.last.Used)
}
