package keeper

import (
	"context"
	"errors"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// ticketAPIs is how each kind of ticket is fetched.
var ticketAPIs = map[memcache.Kind]wechat.API{
	memcache.JSAPITicket:  wechat.JSAPI,
	memcache.WXCardTicket: wechat.WXCard,
}

// errNoToken means that the token expired between tokenFirst and the request.
var errNoToken = &Error{
	Reason: Unavailable, Code: busyCode, Message: "no access_token to fetch the ticket with", RetryAfter: time.Second,
}

// tokenFirst waits for the token that a ticket is fetched with. That comes before the
// lease, because it can take as long as a lease lives. For a token, and with an
// upstream, it does nothing.
func (c *credential) tokenFirst(ctx context.Context) error {
	if !c.isTicket() || c.Upstream != nil {
		return nil
	}
	return c.withToken(ctx, func(ctx context.Context, token *credential) error {
		_, err := token.token(ctx)
		return err
	})
}

// tokenRefused means that WeChat refused the token that a ticket was requested with.
type tokenRefused struct {
	error
	token string
}

// refusesToken reports whether a ticket request failed because WeChat refused its token.
func (c *credential) refusesToken(err error) bool {
	var failed *wechat.Error
	return c.isTicket() && errors.As(err, &failed) && failed.Class == wechat.Refused
}

// reportEvery is the shortest time between two reports of tokens for one ticket: a little
// less than between two renewals.
const reportEvery = 50 * time.Minute

// mayReport takes the one report that all sidecars together can make for this ticket in
// 50 minutes. Otherwise a ticket that WeChat refuses with every token would invalidate one
// token after the other.
func (c *credential) mayReport() bool {
	first, err := c.slot.Mark(memcache.MarkTokenReport, reportEvery)
	return first && err == nil
}

// reportToken reports the refused token, as an app would.
func (c *credential) reportToken(ctx context.Context, refused string) error {
	return c.withToken(ctx, func(ctx context.Context, token *credential) error {
		_, err := token.refresh(ctx, refused)
		return err
	})
}

// withToken calls use with the account's token, for as long as a request can take. If it
// fails, so does the ticket, for the same reason and as long.
func (c *credential) withToken(ctx context.Context, use func(context.Context, *credential) error) error {
	token, err := c.group.find(c.account.AppID, memcache.AccessToken)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestLife)
	defer cancel()
	if err = use(ctx, token); err != nil {
		e := *asError(err)
		e.Message = "no access_token to fetch the ticket with: " + e.Message
		return &failure{err: &e, until: time.Now().Add(max(e.RetryAfter, time.Second))}
	}
	return nil
}

// refusedAgain returns the failure of a ticket for which WeChat refused another token
// too: only a person can help.
func refusedAgain(err error) error {
	var failed *wechat.Error
	if !errors.As(err, &failed) {
		return err
	}
	e := *failed
	e.Class, e.Hint = wechat.Person, hint.ExternalTicket
	return &e
}
