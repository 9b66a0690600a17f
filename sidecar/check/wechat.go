package check

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/verify"
	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// maxAhead is how far this machine's clock can differ from WeChat's.
const maxAhead = 30 * time.Second

// wechat connects to each host. It reports whether one was reached.
func (r *results) wechat(ctx context.Context, client *wechat.Client) (reached bool) {
	for _, host := range client.Reach(ctx) {
		check := "WeChat " + host.Host
		by := ""
		if host.Proxy != "" {
			by = " through the proxy " + host.Proxy
		}
		if host.Err != nil {
			r.failing(check, strings.TrimPrefix(host.Err.Message, host.Host+": ")+by, host.Err.Hint.English)
			continue
		}
		reached = true
		if len(host.Addresses) > 0 {
			by += ", " + strings.Join(host.Addresses, ", ")
		}
		if host.Issuer != "" {
			by += ", certificate by " + host.Issuer
		}
		r.ok(check, "reached"+by)
		if host.Ahead.Abs() > maxAhead {
			r.failing("clock", fmt.Sprintf("this machine's clock and that of %s differ by %s", host.Host, status.Span(host.Ahead)), "synchronize this machine's clock")
		}
	}
	return reached
}

// egress collects what WeChat says about this machine's address.
type egress struct {
	refused  []string      // AppIDs
	why      *wechat.Error // of the last one
	accepted int
}

// atOnce is how many AppSecrets are verified at the same time.
const atOnce = 8

// accounts verifies each AppSecret.
func (r *results) accounts(ctx context.Context, client *wechat.Client, accounts []verify.Account) {
	unreadable, failures := make([]error, len(accounts)), make([]error, len(accounts))
	turns := make(chan struct{}, atOnce)
	var running sync.WaitGroup
	for i, account := range accounts {
		turns <- struct{}{}
		running.Go(func() {
			defer func() { <-turns }()
			var secret string
			if secret, unreadable[i] = account.Secret(); unreadable[i] == nil {
				failures[i] = client.Verify(ctx, account.AppID, secret)
			}
		})
	}
	running.Wait()
	var seen egress
	for i, account := range accounts {
		if unreadable[i] != nil {
			r.unreadable(account, unreadable[i])
		} else {
			r.verified(account, failures[i], &seen)
		}
	}
	r.egress(seen, len(accounts))
}

// verified notes the answer to a request that verified an AppSecret.
func (r *results) verified(account verify.Account, failure error, seen *egress) {
	check := "AppSecret of " + account.AppID
	var why *wechat.Error
	switch outcome := verify.OutcomeOf(failure); {
	case outcome == verify.Verified:
		seen.accepted++
		r.ok(check, "verified, from "+account.Source)
	case !errors.As(failure, &why):
		r.unknown(check, failure.Error(), "")
	case outcome == verify.Failing:
		r.failing(check, fmt.Sprintf("errcode %d: %s; it is from %s", why.Code, why.Message, account.Source), why.Hint.English)
	case why.Local() && !why.Unsent:
		seen.refused, seen.why = append(seen.refused, account.AppID), why
		r.unknown(check, fmt.Sprintf("not verified, errcode %d: WeChat does not accept the IP of this machine", why.Code), "see egress IP")
	default:
		r.unknown(check, fmt.Sprintf("not verified, errcode %d: %s", why.Code, why.Message), why.Hint.English)
	}
}

// egress says what WeChat said about this machine's address.
func (r *results) egress(seen egress, accounts int) {
	const check = "egress IP"
	switch {
	case len(seen.refused) > 0:
		address := seen.why.EgressIP
		if address == "" {
			address = "an address that it does not name"
		}
		r.failing(check, fmt.Sprintf("WeChat sees %s, which is not on the whitelist of %s", address, shortened(seen.refused)), seen.why.Hint.English)
	case seen.accepted > 0:
		r.ok(check, "accepted by WeChat, which names it only if it is not on the whitelist")
	case accounts > 0:
		r.unknown(check, "no account was verified", "")
	}
}

// unreadable notes an AppSecret that cannot be read.
func (r *results) unreadable(account verify.Account, err error) {
	r.failing("AppSecret of "+account.AppID, "it cannot be read: "+err.Error(),
		hint.SecretFile.English)
}

// unverified notes AppSecrets that were not sent to WeChat.
func (r *results) unverified(accounts []verify.Account) {
	for _, account := range accounts {
		if _, err := account.Secret(); err != nil {
			r.unreadable(account, err)
		} else {
			r.unknown("AppSecret of "+account.AppID, "not verified: WeChat was not reached", "see WeChat")
		}
	}
}
