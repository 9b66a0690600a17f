package wechattest_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each classic request issues a new token.
func TestClassic_NewTokenEachRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newPiped(t)
		seen := map[string]bool{}
		for range 5 {
			token := c.classic(t)
			seen[token] = true
			marked := strings.Contains(token, "canarytoken")
			assert.True(t, marked)
			assert.Len(t, []byte(token), 136)
		}
		distinct := len(seen)
		assert.Equal(t, 5, distinct, "all differ")
		assert.Equal(t, 5, c.fake.Issues(appID))
		assert.Equal(t, 5, c.fake.Requests(appID, "token"))
		assert.Zero(t, c.fake.Requests(appID, "stable_token"))
	})
}

// The previous classic token works for the grace period.
func TestClassic_PreviousWorksForTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newPiped(t)
		first := c.classic(t)
		time.Sleep(time.Hour)
		second, start := c.classic(t), time.Now()
		until(start, 300*time.Second-time.Nanosecond)
		c.assertErrcode(t, 0, first, "just before the grace's end")
		until(start, 300*time.Second)
		c.assertErrcode(t, 40001, first, "at the grace's end")
		c.assertErrcode(t, 0, second, "the new one")
	})
}

// The token before the previous one is invalid at once.
func TestClassic_OlderIsInvalidAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newPiped(t)
		first, second, third := c.classic(t), c.classic(t), c.classic(t)
		c.assertErrcode(t, 40001, first, "two renewals ago")
		c.assertErrcode(t, 0, second, "one renewal ago")
		c.assertErrcode(t, 0, third, "the newest")
	})
}

// A token expires without another request.
func TestToken_Expires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newPiped(t)
		c.fake.SetExpiresIn(20 * time.Second)
		first, start := c.classic(t), time.Now()
		until(start, 10*time.Second)
		second := c.classic(t)
		until(start, 20*time.Second-time.Nanosecond)
		c.assertErrcode(t, 0, first, "before its end, within its grace")
		until(start, 20*time.Second)
		c.assertErrcode(t, 42001, first, "at its end, within its grace")
		c.assertErrcode(t, 0, second, "before its end")
		until(start, 30*time.Second)
		c.assertErrcode(t, 42001, second, "at its end")
	})
}

// The grace period can be set.
func TestSetGrace_EndsPreviousToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newPiped(t)
		c.fake.SetGrace(2 * time.Second)
		c.fake.SetTokenLength(600)
		first := c.classic(t)
		second, start := c.classic(t), time.Now()
		assert.Len(t, []byte(second), 600)
		until(start, 2*time.Second)
		c.assertErrcode(t, 40001, first, "after the grace")
	})
}

// An external fetch invalidates our token.
func TestFetchExternally_InvalidatesOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newPiped(t)
		ours := c.classic(t)
		external := c.fake.FetchExternally(appID)
		c.assertErrcode(t, 0, external, "the external token")
		time.Sleep(300 * time.Second)
		c.assertErrcode(t, 40001, ours, "ours, after the grace")
		log := c.fake.Issued()
		require.Len(t, log, 2)
		assert.True(t, log[1].External && log[1].New && log[1].API == "token" && log[1].Seq == 2)
		assert.Equal(t, 1, c.fake.Issues(appID), "external tokens are not counted")
		assert.Equal(t, 1, c.fake.Requests(appID, ""))
		assert.Empty(t, c.fake.FetchExternally("nobody"))
	})
}

// The clock can be set.
func TestSetNow_SetsExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newPiped(t)
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		c.fake.SetNow(func() time.Time { return now })
		token := c.classic(t)
		assert.True(t, c.fake.Issued()[0].At.Equal(now))
		assert.True(t, c.fake.Issued()[0].Expires.Equal(now.Add(2*time.Hour)))
		now = now.Add(2 * time.Hour)
		c.assertErrcode(t, 42001, token, "two hours on")
	})
}
