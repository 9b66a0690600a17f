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
			{"POST", token, `{"cgi_path":"cgi-bin/token"}`, 76003},
			{"POST", token, `{"cgi_path":"https://api.weixin.qq.com/cgi-bin/token"}`, 76003},
			{"POST", token, `{"cgi_path":"/cgi-bin/sns/oauth2"}`, 76022},
			{"POST", token, `{`, 47001},
			{"GET", token, `{"cgi_path":"/cgi-bin/token"}`, 43002},
			{"POST", "", `{"cgi_path":"/cgi-bin/token"}`, 41001},
			{"POST", "90_unknown-unknown-unknown", `{"cgi_path":"/cgi-bin/token"}`, 40001},
		} {
			r, err := c.do(t.Context(), q.method, "/cgi-bin/openapi/quota/get?access_token="+q.token, q.body)
			require.NoError(t, err)
			assert.Equal(t, q.errcode, r.Errcode, "%s %s", q.method, q.body)
		}
		assert.Equal(t, 10, c.fake.Checks())
		assert.Equal(t, 1, c.fake.Requests("", ""))
	})
}

// count returns what openapi/quota/get answers about an API.
func (c caller) count(t *testing.T, token, api string) reply {
	t.Helper()
	r, err := c.do(t.Context(), "POST", "/cgi-bin/openapi/quota/get?access_token="+token, `{"cgi_path":"/cgi-bin/`+api+`"}`)
	require.NoError(t, err)
	require.Zero(t, r.Errcode)
	assert.Equal(t, r.Quota.Limit-r.Quota.Used, r.Quota.Remain)
	return r
}

// The count has every request that was answered with a token, whoever sent it.
func TestQuotaGet_CountsEveryToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newPiped(t)
		c.classic(t)
		c.stable(t, false)
		c.stable(t, true)
		c.fake.FailAll(-1)
		c.tryClassic(t)
		c.fake.Heal()
		token := c.fake.FetchExternally(appID)
		assert.Equal(t, 2, c.count(t, token, "token").Quota.Used)
		assert.Equal(t, 2, c.count(t, token, "stable_token").Quota.Used)
		assert.Equal(t, 2000, c.count(t, token, "token").Quota.Limit)
		assert.Equal(t, 500_000, c.count(t, token, "stable_token").Quota.Limit)
	})
}

// clear_quota/v2 resets the counts ten times a month. It needs the AppSecret, no token.
func TestClearQuota_TenTimesAMonth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newPiped(t)
		c.fake.AddAccount("wxother", "canarysecret-other")
		now := time.Date(2026, 11, 30, 15, 0, 0, 0, time.UTC) // 23:00 in Beijing
		c.fake.SetNow(func() time.Time { return now })
		resets := func(method, body string) int {
			r, err := c.do(t.Context(), method, "/cgi-bin/clear_quota/v2", body)
			require.NoError(t, err)
			return r.Errcode
		}
		right := `{"appid":"` + appID + `","appsecret":"` + secret + `"}`
		for body, errcode := range map[string]int{
			`{"appsecret":"x"}`: 41002, `{"appid":"` + appID + `"}`: 41004, `{"appid":"wxnobody","appsecret":"x"}`: 40013,
			`{"appid":"` + appID + `","appsecret":"canarysecret-wrong"}`: 40125, `{"appid":"` + appID + `","appsecret":"canarysecret-other"}`: 40001, `x`: 47001,
		} {
			assert.Equal(t, errcode, resets("POST", body), body)
		}
		assert.Equal(t, 43002, resets("GET", right))
		assert.Zero(t, c.fake.Clears(appID), "none of them counts")

		c.fake.SetDailyQuota(1)
		token := c.classic(t)
		assert.Equal(t, 45009, c.tryClassic(t))
		for n := range 10 {
			assert.Zero(t, resets("POST", right))
			assert.Equal(t, n+1, c.fake.Clears(appID))
		}
		assert.Zero(t, c.count(t, token, "token").Quota.Used)
		assert.Zero(t, c.tryClassic(t))
		assert.Equal(t, 48006, resets("POST", right))
		now = now.Add(time.Hour)
		assert.Zero(t, resets("POST", right), "another month")
	})
}
