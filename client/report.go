package client

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"
)

// joinLimit bounds how long readers wait for a report.
const joinLimit = time.Second

// reports are a credential's report that is under way, and its last one in vain.
//
// A reader that gets a token from memcached while that token is reported joins the
// report: WeChat would refuse the token once more. It does not join if an earlier
// report of the token brought no other one: WeChat probably accepts it.
type reports struct {
	open   atomic.Pointer[report] // the latest one that readers join; nil while none is
	inVain atomic.Pointer[inVain] // nil until a report brought no other token
}

// report is a report under way.
type report struct {
	rejected string
	over     context.Context        // ends with the report, or after joinLimit
	fresh    atomic.Pointer[string] // set before the end, unless the report fails
}

// inVain is a report that brought no other token.
type inVain struct {
	rejected string
	until    time.Time // before that it is too early for another report
	refusal  Error
}

// refresh reports a credential that WeChat refused. It does not read memcached: only
// the sidecar knows whether the token there is newer or older than the reported one.
func (c *credential) refresh(ctx context.Context, rejected string) (token string, err error) {
	if err = c.usable(); err == nil {
		if rejected == "" {
			token, err = c.ask(ctx, c.local.begin())
		} else if err = c.early(rejected); err == nil {
			key := requestKey{credential: c, rejected: rejected}
			token, err = c.shared.requests.share(ctx, key, func(ctx context.Context) (answer, error) { return c.send(ctx, rejected) })
		}
	}
	if err != nil {
		return "", c.failed("refresh", err)
	}
	c.observe(SourceSidecar)
	return token, nil
}

// send sends a report to the sidecar.
func (c *credential) send(ctx context.Context, rejected string) (answer, error) {
	over, end := context.WithTimeout(ctx, joinLimit)
	defer end()
	mine := &report{rejected: rejected, over: over}
	if last := c.inVain.Load(); last == nil || last.rejected != rejected {
		c.open.Store(mine)
		defer c.open.CompareAndSwap(mine, nil)
	}
	generation := c.local.begin()
	a, err := c.shared.sidecar.refresh(ctx, c.appID, c.kind, rejected)
	if err == nil {
		c.local.end(generation, a.credential, a.life)
		mine.fresh.Store(&a.credential)
		if a.credential == rejected {
			c.inVain.Store(&inVain{rejected: rejected})
		}
	} else if refusal := tooEarly(err); refusal != nil {
		c.inVain.Store(&inVain{rejected, time.Now().Add(refusal.RetryAfter), *refusal})
	}
	return a, err
}

// tooEarly returns the sidecar's refusal of a report that is too early, or nil.
func tooEarly(err error) *Error {
	var refusal *Error
	if errors.As(err, &refusal) && refusal.Code == http.StatusTooManyRequests {
		return refusal
	}
	return nil
}

// replaced reports whether memcached holds another token; false if it does not answer.
func (c *credential) replaced(token string) bool {
	if c.health.now.Load() != nil {
		return false
	}
	held, err := c.slot.Get()
	return err == nil && held != token
}

// early returns the sidecar's refusal of an earlier report of this token until its
// RetryAfter is over, or nil. If memcached holds another token, the sidecar returns
// that at once.
func (c *credential) early(rejected string) error {
	last := c.inVain.Load()
	if last == nil || last.rejected != rejected {
		return nil
	}
	rest := time.Until(last.until)
	if rest <= 0 {
		return nil
	}
	if token, err := c.slot.Get(); err == nil && token == rejected {
		refusal := last.refusal
		refusal.RetryAfter = rest.Truncate(time.Second) + time.Second
		return &refusal
	}
	return nil
}

// stored returns what memcached holds, or if that is reported at the moment what the
// report brings.
func (c *credential) stored(ctx context.Context) (string, Source, error) {
	token, err := c.slot.Get()
	if open := c.open.Load(); err == nil && open != nil && open.rejected == token {
		select {
		case <-open.over.Done():
		case <-ctx.Done():
		}
		if fresh := open.fresh.Load(); fresh != nil {
			return *fresh, SourceSidecar, nil
		}
		token, err = c.slot.Get()
	}
	return token, SourceMemcached, err
}
