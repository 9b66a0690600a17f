package wechattest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// stable_token returns the same token with its remaining life.
func TestStable_SameTokenUntilRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newPiped(t)
		first, start := c.stable(t, false), time.Now()
		assert.Equal(t, 7200, first.ExpiresIn)
		until(start, 1000*time.Second)
		again := c.stable(t, false)
		assertSame(t, first.Token, again.Token, "the same token")
		assert.Equal(t, 6200, again.ExpiresIn)

		until(start, 6900*time.Second)
		again = c.stable(t, false)
		assertSame(t, first.Token, again.Token, "the same token while 300 s remain")
		assert.Equal(t, 300, again.ExpiresIn)

		until(start, 6900*time.Second+time.Nanosecond)
		next := c.stable(t, false)
		assertDifferent(t, first.Token, next.Token, "a new token once fewer remain")
		assert.Equal(t, 7200, next.ExpiresIn)
		until(start, 7200*time.Second-time.Nanosecond)
		c.assertErrcode(t, 0, first.Token, "the old one, to its end")
		c.assertErrcode(t, 0, next.Token, "the new one")
		until(start, 7200*time.Second)
		c.assertErrcode(t, 42001, first.Token, "the old one, at its end")
		assert.Equal(t, 2, c.fake.Issues(appID))
		assert.Equal(t, 4, c.fake.Requests(appID, "stable_token"))
		assert.False(t, c.fake.Issued()[1].New)
	})
}

// force_refresh invalidates the previous token at once.
func TestForceRefresh_InvalidatesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newPiped(t)
		first := c.stable(t, false)
		second := c.stable(t, true)
		assertDifferent(t, first.Token, second.Token, "a new token")
		c.assertErrcode(t, 40001, first.Token, "the old one")
		assert.True(t, c.fake.Issued()[1].ForceRefresh)

		time.Sleep(30*time.Second - time.Nanosecond)
		assertSame(t, second.Token, c.stable(t, true).Token, "too soon: not refreshed")
		time.Sleep(time.Nanosecond)
		assertDifferent(t, second.Token, c.stable(t, true).Token, "30 s on: refreshed")
	})
}

// WeChat allows 20 force_refresh requests a day.
func TestForceRefresh_TwentyADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newPiped(t)
		for range 20 {
			assert.Zero(t, c.stable(t, true).Errcode)
			time.Sleep(30 * time.Second)
		}
		assert.Equal(t, 45009, c.stable(t, true).Errcode)
		assert.Zero(t, c.stable(t, false).Errcode, "normal requests go on")
		time.Sleep(24 * time.Hour)
		assert.Zero(t, c.stable(t, true).Errcode, "and the next day")
	})
}

// Neither API invalidates a token of the other.
func TestAPIs_AreIndependent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newPiped(t)
		stable := c.stable(t, false).Token
		classic := c.classic(t)
		c.classic(t)
		c.classic(t)
		c.assertErrcode(t, 0, stable, "the stable one, after three classic requests")
		c.assertErrcode(t, 40001, classic, "the first classic one")
		newest := c.classic(t)
		c.stable(t, true)
		c.assertErrcode(t, 0, newest, "the classic one, after force_refresh")
	})
}

// An expired stable token is replaced.
func TestStable_ExpiredTokenIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newPiped(t)
		c.fake.SetGrace(0)
		c.fake.SetExpiresIn(20 * time.Second)
		first := c.stable(t, false)
		time.Sleep(20 * time.Second)
		assertDifferent(t, first.Token, c.stable(t, false).Token, "a new token")
	})
}
