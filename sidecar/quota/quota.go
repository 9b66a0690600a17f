// Package quota finds out how often other programs fetch tokens, by WeChat's own count of
// an account's requests today.
//
//   - About once an hour one of all sidecars reads that count, with openapi/quota/get. A
//     mark in memcached says that it was done. The reading is in memcached too, and every
//     sidecar shows it.
//   - Each sidecar adds the requests that it has sent to a number in memcached: renewals,
//     forced ones, those without memcached, and those that verify an AppSecret.
//   - What WeChat's count grew by between two readings, less what that number grew by, was
//     fetched by other programs. It stays unknown if WeChat's count fell, which it does at
//     midnight in Beijing, or if memcached lost the number.
//
// A request that WeChat refused is one of the sidecars'. WeChat does not say whether it
// counts those. If it does not, as many external fetches stay hidden. A reading is no
// renewal. Nothing here resets WeChat's count.
package quota

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

const (
	// every is the time between two readings. With the checks of the other sidecars, each
	// fetch is seen within an hour.
	every = 58 * time.Minute
	// checkEvery is when a sidecar checks again for a reading that is due, and checkSeldom the
	// longest time to that check if readings fail.
	checkEvery, checkSeldom = 30 * time.Second, 5 * time.Minute
	// startAfter and startWithin are when a sidecar first checks for a reading: the first
	// renewals come before it.
	startAfter, startWithin = 10 * time.Second, 30 * time.Second
	// tickEvery is the longest time that a sidecar counts requests in memory alone, unless
	// memcached fails.
	tickEvery = 10 * time.Second
	// apart is the time between two requests of a process.
	apart = 200 * time.Millisecond
	// requestLife is the limit of one reading: WeChat's answer, a report, and another answer.
	requestLife = 30 * time.Second
	// staleAfter is how long a reading is shown.
	staleAfter = 3 * time.Hour
)

// Config says how to read WeChat's count. All fields but Name, Observe and Rand are
// required.
type Config struct {
	// Store is memcached.
	Store *memcache.Store
	// API is how tokens are fetched: its count is read.
	API wechat.API
	// Name is this sidecar's, for people.
	Name string
	// AppIDs returns the accounts, sorted.
	AppIDs func() []string
	// Token returns the account's token, for the request. If rejected is not empty, WeChat
	// has refused that one: it is reported, and another one returned.
	Token func(ctx context.Context, appID, rejected string) (string, error)
	// Send requests openapi/quota/get: wechat.Client.Quota.
	Send func(ctx context.Context, appID, token string, about wechat.API) (wechat.Quota, error)
	// Observe is called with the result of each reading. Nil: no calls.
	Observe func(Result)
	// Log receives a line for each reading.
	Log *slog.Logger
	// Rand returns a number from 0 to 1. Nil: math/rand.
	Rand func() float64
}

// Result is how a reading ended.
type Result string

const (
	// Counted means that WeChat returned its count.
	Counted Result = "counted"
	// None means that WeChat gives no count for this account or API.
	None Result = "none"
	// Failed means that WeChat did not answer, or refused.
	Failed Result = "failed"
)

// Results are all results.
var Results = []Result{Counted, None, Failed}

func resultOf(got wechat.Quota, err error) Result {
	switch {
	case err != nil:
		return Failed
	case got.Limit == 0:
		return None
	}
	return Counted
}

// Ask returns WeChat's count for an account. If WeChat refuses the token, that is reported,
// and the request repeated once. The Limit is 0 if WeChat gives no count.
func (c Config) Ask(ctx context.Context, appID string) (wechat.Quota, error) {
	token, err := c.Token(ctx, appID, "")
	if err != nil {
		return wechat.Quota{}, err
	}
	got, err := c.Send(ctx, appID, token, c.API)
	var refused *wechat.Error
	if errors.As(err, &refused) && refused.Class == wechat.Refused {
		if token, err = c.Token(ctx, appID, token); err != nil {
			return wechat.Quota{}, err
		}
		got, err = c.Send(ctx, appID, token, c.API)
	}
	if errors.As(err, &refused) && slices.Contains([]int{76021, 76022, 48001}, refused.Code) {
		return wechat.Quota{}, nil
	}
	return got, err
}

// next returns the reading that follows another one, which can be nil. sent is the number
// of requests that the sidecars have sent, as memcache.Slot.CountSent returns it.
func next(before *memcache.Quota, got wechat.Quota, sent int64, by string, now time.Time) *memcache.Quota {
	q := &memcache.Quota{V: 1, At: now.Unix(), By: by, Used: got.Used, Limit: got.Limit, Sent: sent}
	if before == nil || before.Limit == 0 || got.Limit == 0 || got.Used < before.Used {
		return q
	}
	if own, ok := memcache.SentSince(before.Sent, sent); ok {
		external := max(0, got.Used-before.Used-own)
		q.External, q.Since = &external, before.At
	}
	return q
}

// isMuch reports whether a reading has more external fetches than WeChat's inexact count
// explains: more than 2, and more than 1 % of the requests today.
func isMuch(q *memcache.Quota) bool {
	return q.External != nil && *q.External > max(2, q.Used/100)
}

// nextCheck returns when to check for the reading that follows one.
func nextCheck(q *memcache.Quota, now time.Time) time.Time {
	at := time.Unix(q.At, 0).Add(every)
	if latest := now.Add(every); at.After(latest) { // the clock of its sidecar is ahead
		return latest
	}
	return at
}
