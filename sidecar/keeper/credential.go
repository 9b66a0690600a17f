package keeper

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// credential is one credential kept alive.
type credential struct {
	Config
	account Account
	kind    memcache.Kind
	slot    *memcache.Slot
	spread  float64 // where in the jitter this sidecar stands, 0 to 1
	house   *Group

	mu        sync.Mutex // guards what follows; never held over I/O
	mem       memory
	flight    *flight     // the renewal under way; nil when none
	refusal   refusal     // why the last renewal failed
	owed      int64       // a doubt (Unix time) that memcached has not been told of; 0 when none
	stranger  string      // fingerprint of the last foreign token met
	published bool        // the entry was ours when last looked at
	downSince time.Time   // when memcached began to fail; zero while it answers
	looked    time.Time   // when memcached was last seen to agree
	nudged    time.Time   // when a reader's miss last caused a look
	nudging   bool        // such a look is under way
	direct    time.Time   // when WeChat was last asked without a lease
	timer     *time.Timer // wakes when the token is due
	closed    bool
}

// refusal is why a renewal failed, and until when there is no use in another.
type refusal struct {
	err    *Error
	until  time.Time
	secret string // fingerprint of the AppSecret that a person must see to
}

// flight is one renewal that many may wait for.
type flight struct {
	rejected string        // the token that must be replaced; empty: whatever is due
	awaited  chan struct{} // closed when somebody waits for it
	await    sync.Once
	done     chan struct{}
	err      error // valid once done is closed
}

// token returns the live token at once where there is one. Else it waits for
// the renewal under way, or starts one, and fails with its error, or with
// Unavailable when ctx ends.
func (c *credential) token(ctx context.Context) (Grant, error) {
	if c.slept() {
		c.look()
	} else {
		c.nudge()
	}
	for {
		c.mu.Lock()
		grant, ok := c.grant()
		f := c.flight
		if ok && (f == nil || !c.mem.isRejected()) {
			c.mu.Unlock()
			return grant, nil
		}
		if err := c.recentRefusal(); err != nil && !ok {
			c.mu.Unlock()
			return Grant{}, err
		}
		if f == nil {
			f = c.start("")
		}
		c.mu.Unlock()
		if f == nil {
			return Grant{}, errStopping
		}
		if err := f.wait(ctx); err != nil {
			return Grant{}, err
		}
		c.mu.Lock()
		grant, ok = c.grant()
		c.mu.Unlock()
		if ok {
			return grant, nil
		}
		if f.err != nil {
			return Grant{}, asError(f.err)
		}
	}
}

// refresh returns a token other than the rejected one: the current one where it
// is another, else the one that a renewal brings.
func (c *credential) refresh(ctx context.Context, rejected string) (Grant, error) {
	for {
		c.mu.Lock()
		grant, ok := c.grant()
		if ok && grant.Value != rejected {
			c.mu.Unlock()
			return grant, nil
		}
		f := c.flight
		if f == nil {
			f = c.start(rejected)
		}
		c.mu.Unlock()
		if f == nil {
			return Grant{}, errStopping
		}
		if err := f.wait(ctx); err != nil {
			return Grant{}, err
		}
		c.mu.Lock()
		grant, ok = c.grant()
		c.mu.Unlock()
		if ok && grant.Value != rejected {
			return grant, nil
		}
		if f.rejected == rejected || !ok {
			if f.err == nil {
				return Grant{}, &Error{Reason: Budget, Code: 429, Message: "WeChat still gives the rejected token",
					Hint: "was it really refused with 40001, 40014 or 42001?", RetryAfter: forcedLife}
			}
			return Grant{}, asError(f.err)
		}
	}
}

var errStopping = &Error{Reason: Unavailable, Code: busyCode, Message: "the sidecar is stopping", RetryAfter: time.Second}

// wait waits for the renewal to end.
func (f *flight) wait(ctx context.Context) error {
	f.await.Do(func() { close(f.awaited) })
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return &Error{Reason: Unavailable, Code: busyCode, Message: "no credential came in time", RetryAfter: time.Second}
	}
}

// grant is the live token, if there is one. The caller holds mu.
func (c *credential) grant() (Grant, bool) {
	if !c.mem.live(c.Wall) {
		return Grant{}, false
	}
	return c.mem.grant(c.Wall), true
}

// recentRefusal is why a renewal that just failed would fail again. The caller
// holds mu.
func (c *credential) recentRefusal() error {
	if c.refusal.err == nil || time.Until(c.refusal.until) <= 0 {
		return nil
	}
	err := *c.refusal.err
	err.RetryAfter = max(err.RetryAfter, time.Until(c.refusal.until)).Round(time.Second)
	return &err
}

// report notes that an app's call was refused with our live token, which is also
// the newest one that memcached knows.
func (c *credential) report(rejected string) {
	fp := memcache.Fingerprint(rejected)
	c.mu.Lock()
	news := c.mem.live(c.Wall) && c.mem.record.Token == rejected && c.mem.rejected != fp
	age := time.Duration(0)
	if news {
		c.mem.rejected = fp
		age = c.mem.age(c.Wall)
	}
	c.mu.Unlock()
	if news {
		c.log().Warn("a token was rejected before its time and none of our sidecars renewed it",
			"token_fingerprint", fp, "age_seconds", int(age.Seconds()), "hint", strangerHint)
	}
}

// strangerHint is what to do when somebody else fetches tokens.
const strangerHint = "another program, environment or key prefix fetches tokens for this AppID: " +
	"point it at wxsidecar, or set WECHAT_TOKEN_API=stable_token on every side"

// adopt takes a record that was read. It reports whether memory changed.
func (c *credential) adopt(r *memcache.Record) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.mem.adopt(r, c.Wall) {
		return false
	}
	c.refusal = refusal{}
	c.arm()
	return true
}

// arm sets the timer for the time when the token is due. The caller holds mu.
func (c *credential) arm() {
	if c.closed {
		return
	}
	var wait time.Duration
	if c.mem.live(c.Wall) {
		wait = max(c.mem.dueIn(c.Wall, c.spread), 0)
	}
	wait = max(wait, time.Until(c.refusal.until))
	if c.timer == nil {
		c.timer = time.AfterFunc(wait, c.wake)
		return
	}
	c.timer.Reset(wait)
}

// wake runs when the token is due.
func (c *credential) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.startIfDue()
}

// startIfDue starts a renewal unless there is one, no need of one, or no use in
// one. The caller holds mu.
func (c *credential) startIfDue() {
	if c.flight != nil || c.recentRefusal() != nil {
		return
	}
	if !c.mem.live(c.Wall) || c.mem.dueIn(c.Wall, c.spread) <= 0 {
		c.start("")
	}
}

// start starts a renewal; nil when the sidecar is stopping. The caller holds mu
// and has seen that there is none.
func (c *credential) start(rejected string) *flight {
	if c.closed {
		return nil
	}
	f := &flight{rejected: rejected, awaited: make(chan struct{}), done: make(chan struct{})}
	if !c.house.run(func(ctx context.Context) { c.fly(ctx, f) }) {
		return nil
	}
	c.flight = f
	return f
}

// fly runs one renewal and tells its end. One that nobody waits for queues.
func (c *credential) fly(ctx context.Context, f *flight) {
	select {
	case c.house.quiet <- struct{}{}:
		defer func() { <-c.house.quiet }()
	case <-f.awaited:
	}
	err := c.renew(ctx, f.rejected)
	c.mu.Lock()
	defer c.mu.Unlock()
	f.err = err
	c.flight = nil
	switch {
	case errors.Is(err, errElsewhere):
		f.err = nil
	case err != nil:
		c.refuse(err)
	default:
		c.refusal = refusal{}
		c.arm()
	}
	close(f.done)
}

// refuse remembers why a renewal failed. The caller holds mu.
func (c *credential) refuse(err error) {
	c.refusal = refusal{err: asError(err), until: time.Now().Add(time.Second)}
	var failed *failure
	if errors.As(err, &failed) { // else it is somebody else's wait: memcached ends it, and a look sees
		c.refusal.until, c.refusal.secret = failed.until, failed.secret
		c.arm()
	}
}

// nudge looks at memcached because a reader missed: at most once a second, or
// ten times while memcached is down, so that it is full again as soon as it is back.
func (c *credential) nudge() {
	c.mu.Lock()
	defer c.mu.Unlock()
	every := time.Second
	if !c.downSince.IsZero() {
		every = 100 * time.Millisecond
	}
	if c.nudging || c.closed || time.Since(c.nudged) < every {
		return
	}
	c.nudging = c.house.run(func(context.Context) {
		c.look()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.nudging, c.nudged = false, time.Now()
	})
}

// slept reports whether no look came for longer than looks are apart, although
// memcached answers: this process was stopped, and what it remembers may have
// been replaced long ago.
func (c *credential) slept() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mem.record != nil && c.downSince.IsZero() && time.Since(c.looked) > 2*lookEvery(1)
}

// state is what probes and people see.
func (c *credential) state() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return State{AppID: c.account.AppID, Kind: c.kind, Valid: c.mem.live(c.Wall), Published: c.published, Err: c.refusal.err}
}

// close stops the timer; renewals under way finish by themselves.
func (c *credential) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
	}
}

func (c *credential) log() *slog.Logger {
	return c.Log.With("appid", c.account.AppID, "kind", string(c.kind))
}
