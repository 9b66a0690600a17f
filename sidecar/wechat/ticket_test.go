package wechat_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// Fetch returns a ticket for a valid token.
func TestFetch_ValidTicket(t *testing.T) {
	for _, api := range []wechat.API{wechat.JSAPI, wechat.WXCard} {
		t.Run(string(api), func(t *testing.T) {
			fake, url := newFake(t)
			c := newClient(t, nil, url)
			token := must(c.Fetch(t.Context(), request(wechat.Token)))(t)
			ticket := must(c.Fetch(t.Context(), wechat.Request{API: api, AppID: appID, Token: token.Value}))(t)
			assert.Equal(t, 7200*time.Second, ticket.ExpiresIn)
			assert.Zero(t, fake.AcceptsTicket(ticket.Value))
			assert.Equal(t, 1, fake.Requests(appID, string(api)))
			assertShowsNothing(t, ticket)
			assertShowsNothing(t, wechat.Request{API: api, AppID: appID, Token: token.Value})
		})
	}
}

// A refused token has its own class.
func TestTicket_RefusedTokenHasItsClass(t *testing.T) {
	fake, url := newFake(t)
	c := newClient(t, nil, url)
	ticket := wechat.Request{API: wechat.JSAPI, AppID: appID, Token: "90_canarytoken-superseded"}
	e := failure(t.Context(), t, c, ticket)
	assert.Equal(t, 40001, e.Code, "WeChat does not know it")
	assert.Equal(t, wechat.Refused, e.Class)
	for code, class := range map[int]wechat.Class{
		40001: wechat.Refused, 40014: wechat.Refused, 41001: wechat.Refused, 42001: wechat.Refused,
		48001: wechat.Person, -1: wechat.Transient, 45009: wechat.Day, 40097: wechat.Person,
	} {
		fake.FailAll(code)
		e := failure(t.Context(), t, c, ticket)
		assert.Equal(t, class, e.Class, code)
		assert.Equal(t, class == wechat.Refused, wechat.RefusesToken(code), code)
	}
	fake.Heal()
	assert.Equal(t, wechat.Person, failure(t.Context(), t, c, wechat.Request{API: wechat.Token, AppID: "wx", Secret: secret}).Class)
}

// A broken answer is not a ticket.
func TestTicket_BrokenAnswer(t *testing.T) {
	fake, url := newFake(t)
	c := newClient(t, nil, url)
	for _, body := range []string{
		`{"errcode":0,"errmsg":"ok","access_token":"canarytoken","expires_in":7200}`,
		`{"errcode":0,"errmsg":"ok","ticket":"","expires_in":7200}`,
		`{"errcode":0,"errmsg":"ok","ticket":"a b","expires_in":7200}`,
		`{"errcode":0,"errmsg":"ok","ticket":"canarytoken","expires_in":0}`,
		`{"errcode":0,"errmsg":"ok","ticket":"canarytoken"}`,
	} {
		fake.OnRequest(func(wechattest.Request) wechattest.Answer { return raw(200, body) })
		e := failure(t.Context(), t, c, wechat.Request{API: wechat.JSAPI, AppID: appID, Token: "canarytoken-0123456789"})
		assert.True(t, e.MayHaveIssued, body)
		assertShowsNothing(t, e)
	}
}

// An errmsg that repeats the token of a ticket request is redacted.
func TestRedaction_ErrmsgWithTicketToken(t *testing.T) {
	fake, url := newFake(t)
	const token = "90_canarytoken-and-more-of-it"
	fake.OnRequest(func(wechattest.Request) wechattest.Answer {
		return wechattest.Answer{Errcode: 40001, Errmsg: "invalid credential " + token + ", not latest"}
	})
	assertShowsNothing(t, failure(t.Context(), t, newClient(t, nil, url), wechat.Request{API: wechat.JSAPI, AppID: appID, Token: token}))
}
