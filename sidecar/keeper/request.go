package keeper

import (
	"context"
	"errors"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// forceWindow spaces forced renewals of stable_token: WeChat allows 20 a day.
const forceWindow = 75 * time.Minute

// newRequest returns what WeChat is asked, with the AppSecret or, for a ticket, with the
// token that this sidecar holds.
func (c *credential) newRequest() (wechat.Request, error) {
	r := wechat.Request{API: c.api, AppID: c.account.AppID}
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

// noteSent notes when the request is sent, and what is held then.
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
		got, err = a.force(ctx, got)
	}
	if err != nil {
		return got, err
	}
	a.count(func(n *Counts) { n.Renewed++ })
	a.log().Info("renewed", "expires_in", int(got.ExpiresIn.Seconds()), "api", string(a.request.API),
		"token_fingerprint", memcache.Fingerprint(got.Value))
	a.warnOfDate(got.Date)
	return got, nil
}

// force asks for another token if WeChat vouches for the one that was reported: once in
// 75 minutes the report is believed, if it is stable_token that vouches. Otherwise same
// stays, and counts as valid again.
func (a *attempt) force(ctx context.Context, same wechat.Credential) (wechat.Credential, error) {
	got := same
	if a.api == wechat.StableToken && a.mayForce() {
		request := a.request
		request.Force = true
		forced, err := a.WeChat.Fetch(ctx, request)
		a.countRequest(err, true)
		var failed *wechat.Error
		if errors.As(err, &failed) && failed.MayHaveIssued {
			// The old one may be invalid: without force, WeChat gives the new one again.
			request.Force = false
			forced, err = a.WeChat.Fetch(ctx, request)
			a.countRequest(err, false)
			if err != nil {
				return same, err
			}
		}
		if err == nil {
			got = forced
		}
	}
	if got.Value == same.Value {
		a.mu.Lock()
		a.held.Reported = ""
		a.mu.Unlock()
	}
	return got, nil
}

// mayForce takes the one forced renewal that stable_token is asked for in 75 minutes,
// and a use of the budget.
func (a *attempt) mayForce() bool {
	ok, err := a.slot.Mark(memcache.MarkForceRefresh, forceWindow)
	if !ok || err != nil {
		return false
	}
	_, ok, err = a.slot.Spend(memcache.MarkBudget, protocol.Budget, protocol.BudgetWindow)
	return ok && err == nil
}

// countRequest counts a request to WeChat that was sent: everybody's, or those that this
// sidecar knows of while memcached cannot count.
func (c *credential) countRequest(failed error, forced bool) {
	var e *wechat.Error
	if errors.As(failed, &e) && e.Unsent {
		return
	}
	date := dateOf(c.Wall())
	n, _ := c.slot.CountRequest(date) // a failure costs a number for people
	c.mu.Lock()
	defer c.mu.Unlock()
	day := c.held.DayOf(date)
	day.Requests = max(day.Requests+1, n)
	if forced {
		day.ForceRefreshes++
	}
	c.held.Today = day
}
