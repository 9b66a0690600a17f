package client

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// joinLimit bounds how long readers wait for a report.
const joinLimit = time.Second

// reports are a credential's reports that are under way, and its last one in vain.
//
// A reader that gets a token from memcached while that token is reported joins the
// report: WeChat would refuse the token once more. It does not join if an earlier
// report of the token brought no other one: WeChat probably accepts it.
type reports struct {
	opening sync.Mutex                         // of those who change open
	open    atomic.Pointer[map[string]*report] // those that readers join, by the reported token; nil if there is none
	inVain  atomic.Pointer[inVain]             // nil until a report brought no other token
}

// report is a report under way.
type report struct {
	over  context.Context        // ends with the report, or after joinLimit
	fresh atomic.Pointer[string] // set before the end, unless the report fails
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
	mine := &report{over: over}
	if last := c.inVain.Load(); last == nil || last.rejected != rejected {
		c.setOpen(rejected, mine)
		defer c.setOpen(rejected, nil)
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

// setOpen adds the report of a token for readers to join, or removes it if that is nil.
// There can be several: a slow request is refused with the token before the current one.
func (r *reports) setOpen(rejected string, mine *report) {
	r.opening.Lock()
	defer r.opening.Unlock()
	open := map[string]*report{}
	if now := r.open.Load(); now != nil {
		maps.Copy(open, *now)
	}
	if open[rejected] = mine; mine == nil {
		delete(open, rejected)
	}
	if len(open) == 0 {
		r.open.Store(nil)
		return
	}
	r.open.Store(&open)
}

// underReport returns the report of a token that readers join, or nil.
func (r *reports) underReport(token string) *report {
	if open := r.open.Load(); open != nil {
		return (*open)[token]
	}
	return nil
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
	if err != nil || c.underReport(token) == nil {
		return token, SourceMemcached, err
	}
	return c.joined(ctx, token)
}

// joined waits for the report of token. It returns what the report brings, or else what
// memcached holds by then.
func (c *credential) joined(ctx context.Context, token string) (string, Source, error) {
	if report := c.underReport(token); report != nil {
		select {
		case <-report.over.Done():
		case <-ctx.Done():
		}
		if fresh := report.fresh.Load(); fresh != nil {
			return *fresh, SourceSidecar, nil
		}
	}
	token, err := c.slot.Get()
	return token, SourceMemcached, err
}
