package keeper

import (
	"context"
	"errors"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// newRequest returns the request to WeChat, with the AppSecret or, for a ticket, with the
// held token.
func (c *credential) newRequest() (wechat.Request, error) {
	r := wechat.Request{API: c.api, AppID: c.account.AppID, Held: c.last()}
	if c.Upstream != nil { // a Question is asked, and Secret is nil
		return r, nil
	}
	if !c.isTicket() {
		secret, err := c.account.Secret()
		if err != nil {
			return r, c.noSecret(err)
		}
		r.Secret = secret
		return r, nil
	}
	token, err := c.group.find(c.account.AppID, memcache.AccessToken)
	if err != nil {
		return r, err
	}
	grant, ok := token.grant()
	if !ok {
		return r, errNoToken
	}
	r.Token = grant.Value
	return r, nil
}

// noteSent notes the time just before the request, and what is held then.
func (a *attempt) noteSent() {
	a.sent = a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.holding = a.held.Record
}

// send sends the request, and warns if this sidecar's clock differs from WeChat's.
func (a *attempt) send(ctx context.Context) (wechat.Credential, error) {
	ctx, cancel := context.WithTimeout(ctx, requestLife)
	defer cancel()
	got, err := a.WeChat.Fetch(ctx, a.request)
	a.countRequest(err, false)
	if err == nil && got.Value == a.why.Invalid {
		got, err = a.forceRefresh(ctx, got)
	}
	if err != nil {
		return got, err
	}
	a.noteIssued(got.Value)
	fields := []any{
		"expires_in", int(got.ExpiresIn.Seconds()), "api", string(a.request.API), "token_fingerprint", memcache.Fingerprint(got.Value),
	}
	switch {
	case got.Value == a.why.Invalid:
		a.log().Info("reported credential returned again", fields...)
	case a.isTicket():
		a.log().Info("ticket renewed", append(fields, "event", "token_renewed")...)
	default:
		a.log().Info("token renewed", append(fields, "event", "token_renewed")...)
	}
	a.warnOfDate(got.Date)
	return got, nil
}

// noteIssued counts a credential that WeChat issued, and warns if readers do not accept it
// from the entry.
func (c *credential) noteIssued(value string) {
	c.count(func(n *Counts) { n.Renewed++ })
	if !memcache.ValidEntry(value) {
		c.log().Warn("credential of an unknown form received", "length", len(value), "token_fingerprint", memcache.Fingerprint(value), "hint", hint.UnknownForm)
	}
}

// forceRefresh continues if WeChat returned the reported token again: same. With
// stable_token it requests another one. Otherwise same counts as valid again.
func (a *attempt) forceRefresh(ctx context.Context, same wechat.Credential) (wechat.Credential, error) {
	got, err := same, error(nil)
	if a.api == wechat.StableToken {
		if got, err = a.force(ctx, same); err != nil {
			return same, err
		}
	}
	if got.Value == same.Value {
		a.mu.Lock()
		a.held.Reported = ""
		a.mu.Unlock()
		a.markValid()
	}
	return got, nil
}

// force requests another token than same with force_refresh, once in 75 minutes. It
// returns same if that is not allowed, or if WeChat refuses.
func (a *attempt) force(ctx context.Context, same wechat.Credential) (wechat.Credential, error) {
	mark, ok := a.mayForceRefresh()
	if !ok {
		return same, nil
	}
	request := a.request
	request.Force = true
	got, err := a.WeChat.Fetch(ctx, request)
	a.countRequest(err, true)
	var failed *wechat.Error
	if !errors.As(err, &failed) {
		return got, err
	}
	a.count(func(n *Counts) { n.failed(failed.Code) })
	a.log().Warn("force_refresh failed", "errcode", failed.Code, "errmsg", failed.Message,
		"class", failed.Class.String(), "hint", failed.Hint)
	f := a.failureOf(failed)
	if f.Unsent {
		a.giveBack()
	}
	next := protocol.AfterForce(f)
	if next.GiveBack {
		a.giveForceBack(mark)
	}
	if !next.AskAgain {
		return same, nil
	}
	request.Force = false
	got, err = a.WeChat.Fetch(ctx, request)
	a.countRequest(err, false)
	return got, err
}

// countRequest counts a request that was sent to WeChat: memcached counts those of all
// sidecars. If it cannot, the number is what this sidecar knows.
func (c *credential) countRequest(failed error, forced bool) {
	var e *wechat.Error
	if errors.As(failed, &e) && e.Unsent {
		return
	}
	date := dateOf(c.Wall())
	n, _ := c.slot.CountRequest(date) // the number is for people: a failure does no harm
	c.mu.Lock()
	defer c.mu.Unlock()
	day := c.held.DayOf(date)
	day.Requests = max(day.Requests+1, n)
	if forced {
		day.ForceRefreshes++
	}
	c.held.Today = day
}
