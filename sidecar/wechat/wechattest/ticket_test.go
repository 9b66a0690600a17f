package wechattest_test

import (
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ticket asks for a ticket with a token.
func (c caller) ticket(t *testing.T, token, kind string) reply {
	t.Helper()
	q := url.Values{"access_token": {token}, "type": {kind}}
	r, err := c.do(t.Context(), http.MethodGet, "/cgi-bin/ticket/getticket?"+q.Encode(), "")
	require.NoError(t, err)
	return r
}

// A ticket belongs to the account of the token.
func TestTicket_OfTheTokensAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newPiped(t)
		token := c.classic(t)
		first, card := c.ticket(t, token, "jsapi"), c.ticket(t, token, "wx_card")
		for _, got := range []reply{first, card} {
			assert.Zero(t, got.Errcode)
			assert.Equal(t, "ok", got.Errmsg)
			assert.Equal(t, 7200, got.ExpiresIn)
			assert.Zero(t, c.fake.AcceptsTicket(got.Ticket))
			assert.Equal(t, 40001, c.fake.Accepts(got.Ticket), "it is no token")
		}
		assert.Equal(t, 40001, c.fake.AcceptsTicket(token), "a token is no ticket")
		assert.Equal(t, 1, c.fake.Requests(appID, "jsapi"))
		assert.Equal(t, 1, c.fake.Requests(appID, "wx_card"))
		assert.Equal(t, 1, c.fake.Issues(appID), "tickets are not counted as tokens")
		out := c.fake.Tickets()
		require.Len(t, out, 2)
		assert.True(t, out[0].AppID == appID && out[0].API == "jsapi" && out[1].Seq == 2)
	})
}

// A ticket works until it expires.
func TestTicket_WorksUntilItExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newPiped(t)
		token := c.classic(t)
		first, start := c.ticket(t, token, "jsapi").Ticket, time.Now()
		until(start, time.Hour)
		second := c.ticket(t, c.classic(t), "jsapi").Ticket
		until(start, 2*time.Hour-time.Nanosecond)
		assert.Zero(t, c.fake.AcceptsTicket(first), "whatever came after it")
		until(start, 2*time.Hour)
		assert.Equal(t, 42001, c.fake.AcceptsTicket(first))
		assert.Zero(t, c.fake.AcceptsTicket(second))
		c.fake.VoidTickets(appID)
		assert.Equal(t, 40001, c.fake.AcceptsTicket(second))
	})
}

// A bad ticket request gets WeChat's errcode.
func TestTicket_Errcodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newPiped(t)
		c.fake.SetGrace(0)
		old, token := c.classic(t), c.classic(t)
		for name, want := range map[string]struct {
			got     reply
			errcode int
		}{
			"no token":         {c.ticket(t, "", "jsapi"), 41001},
			"malformed token":  {c.ticket(t, "a b", "jsapi"), 40014},
			"unknown token":    {c.ticket(t, "0123456789abcdef", "jsapi"), 40001},
			"superseded token": {c.ticket(t, old, "jsapi"), 40001},
			"unknown type":     {c.ticket(t, token, "card"), 40097},
		} {
			assert.Equal(t, want.errcode, want.got.Errcode, name)
			assert.Empty(t, want.got.Ticket, name)
		}
		r, err := c.do(t.Context(), http.MethodPost, "/cgi-bin/ticket/getticket?type=jsapi&access_token="+token, "")
		require.NoError(t, err)
		assert.Equal(t, 43001, r.Errcode)
		assert.Empty(t, c.fake.Tickets())
	})
}
