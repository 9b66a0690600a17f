package wechattest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The daily quota ends at midnight in Beijing.
func TestQuota_DayEndsInBeijing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newPiped(t)
		c.fake.SetDailyQuota(2)
		now := time.Date(2026, 1, 1, 15, 0, 0, 0, time.UTC) // 23:00 in Beijing
		c.fake.SetNow(func() time.Time { return now })
		c.classic(t)
		c.classic(t)
		assert.Equal(t, 45009, c.tryClassic(t))
		assert.Zero(t, c.stable(t, false).Errcode, "the other API has its own")
		now = time.Date(2026, 1, 1, 15, 59, 59, 0, time.UTC)
		assert.Equal(t, 45009, c.tryClassic(t))
		now = time.Date(2026, 1, 1, 16, 0, 0, 0, time.UTC)
		assert.Zero(t, c.tryClassic(t))
		assert.Equal(t, 5, c.fake.Requests(appID, "token"), "refused requests are counted too")
	})
}

// The default quotas are WeChat's.
func TestQuota_Defaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newPiped(t)
		for range 2000 {
			c.classic(t)
		}
		assert.Equal(t, 45009, c.tryClassic(t))
	})
}

// Each account has its own quota.
func TestQuota_PerAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newPiped(t)
		c.fake.SetDailyQuota(1)
		c.fake.AddAccount("wxother", "canarysecret-other")
		c.classic(t)
		assert.Equal(t, 45009, c.tryClassic(t))
		r, err := c.do(t.Context(), "GET", classicPath("wxother", "canarysecret-other"), "")
		require.NoError(t, err)
		assert.Zero(t, r.Errcode)
		assert.Equal(t, 1, c.fake.Issues("wxother"))
		assert.Equal(t, 2, c.fake.Issues(""))
	})
}

// The quota of a minute ends with the minute.
func TestQuota_Minute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newPiped(t)
		c.fake.SetMinuteQuota(3)
		for range 3 {
			assert.Zero(t, c.stable(t, false).Errcode)
		}
		assert.Equal(t, 45011, c.stable(t, false).Errcode)
		time.Sleep(time.Minute)
		assert.Zero(t, c.stable(t, false).Errcode)
	})
}

// openapi/quota/get counts the requests of today for the account of a valid token.
func TestQuotaGet_OfTheTokensAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newPiped(t)
		token := c.classic(t)
		for _, q := range []struct {
			method, token, body string
			errcode             int
		}{
			{"POST", token, `{"cgi_path":"/cgi-bin/token"}`, 0},
			{"POST", token, `{"cgi_path":"/cgi-bin/stable_token"}`, 0},
			{"POST", token, `{"cgi_path":"/cgi-bin/none"}`, 76021},
			{"POST", token, `{`, 47001},
			{"GET", token, `{"cgi_path":"/cgi-bin/token"}`, 43002},
			{"POST", "", `{"cgi_path":"/cgi-bin/token"}`, 41001},
			{"POST", "90_unknown-unknown-unknown", `{"cgi_path":"/cgi-bin/token"}`, 40001},
		} {
			r, err := c.do(t.Context(), q.method, "/cgi-bin/openapi/quota/get?access_token="+q.token, q.body)
			require.NoError(t, err)
			assert.Equal(t, q.errcode, r.Errcode, "%s %s", q.method, q.body)
		}
		assert.Equal(t, 7, c.fake.Checks())
		assert.Equal(t, 1, c.fake.Requests("", ""))
	})
}
