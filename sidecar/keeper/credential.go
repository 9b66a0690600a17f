package keeper

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// credential is one credential kept alive.
type credential struct {
	*Config // the group's
	account Account
	kind    memcache.Kind
	api     wechat.API // how it is fetched
	slot    *memcache.Slot
	spread  float64 // where in the jitter this sidecar stands, 0 to 1
	house   *Group

	mu        sync.Mutex // guards what follows; never held over I/O
	mem       memory
	flight    *flight       // the renewal under way; nil when none
	refusal   refusal       // why the last renewal failed
	owed      int64         // a doubt (Unix time) that memcached has not been told of; 0 when none
	stranger  string        // fingerprint of the last foreign token met
	mandate   string        // fingerprint of the reported token that this sidecar is to renew
	stuck     stuck         // a lease that may never lapse
	published bool          // the entry was ours when last looked at
	version   uint64        // of the entry when last looked at
	written   time.Time     // when that version was first seen
	downSince time.Time     // when memcached began to fail; zero while it answers
	looked    time.Time     // when memcached was last seen to agree
	nudged    time.Time     // when a reader's miss last caused a look
	nudging   bool          // such a look is under way
	catching  chan struct{} // closed when the look after a stop is done; nil when none is under way
	direct    time.Time     // when WeChat was last asked without a lease
	timer     *time.Timer   // wakes when the token is due
	closed    bool
	own       *memcache.Record // the last that this sidecar fetched
	told      told             // the last that Changed was told of
	counts    Counts
}

// token returns the live token at once where there is one. Else it waits for
// the renewal under way, or starts one, and fails with its error, or with
// Unavailable when ctx ends.
func (c *credential) token(ctx context.Context) (Grant, error) {
	c.mu.Lock()
	if now := time.Now(); c.slept(now) {
		c.mu.Unlock()
		c.catchUp(ctx)
		c.mu.Lock()
	} else {
		c.nudge(now)
	}
	for {
		grant, f, err := c.ready()
		c.mu.Unlock()
		if f == nil {
			return grant, err
		}
		if err = f.wait(ctx); err == nil {
			err = f.err
		}
		c.mu.Lock()
		grant, ok := c.mem.grant(c.Wall)
		switch {
		case ok:
			c.mu.Unlock()
			grant.Waited = true
			return grant, nil // a reported token too, where nothing better came
		case err != nil:
			c.mu.Unlock()
			return Grant{}, asError(err)
		}
	}
}

// ready is what can be answered at once: a token, or why there is none. Else it
// returns the renewal to wait for. The caller holds mu.
func (c *credential) ready() (Grant, *flight, error) {
	grant, ok := c.mem.grant(c.Wall)
	if ok && (c.flight == nil || !c.mem.isRejected()) {
		return grant, nil, nil
	}
	if err := c.recentRefusal(); err != nil && !ok {
		return Grant{}, nil, err
	}
	f := c.flight
	if f == nil {
		f = c.start("")
	}
	if f == nil {
		return Grant{}, nil, errStopping
	}
	return Grant{}, f, nil
}

// refresh returns a token newer than the rejected one: the current one at once
// where it is known to have replaced it. Else what memory holds may itself be
// older, since another sidecar may have renewed since the last look: the renewal
// reads the record first, and calls WeChat only for the current one.
func (c *credential) refresh(ctx context.Context, rejected string) (Grant, error) {
	for current := false; ; current = true {
		c.mu.Lock()
		grant, ok := c.mem.grant(c.Wall)
		if ok && grant.Value != rejected && (current || c.mem.record.Knows(rejected)) {
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
		if f.rejected != rejected && ok {
			continue // it was for something else; it has read the record
		}
		c.mu.Lock()
		grant, ok = c.mem.grant(c.Wall)
		c.mu.Unlock()
		grant.Waited = true
		switch {
		case ok && grant.Value != rejected:
			return grant, nil
		case f.err != nil:
			return Grant{}, asError(f.err)
		}
		return Grant{}, errSame
	}
}

// newCredential is one that is not looked at yet.
func (g *Group) newCredential(account Account, kind memcache.Kind) (*credential, error) {
	slot, err := g.cfg.Store.Slot(account.AppID, kind)
	if err != nil {
		return nil, err
	}
	c := &credential{Config: &g.cfg, account: account, kind: kind, api: g.cfg.API, slot: slot, spread: g.cfg.Rand(), house: g}
	if kind != memcache.AccessToken {
		api, ok := ticketAPIs[kind]
		if !ok {
			return nil, fmt.Errorf("there is no ticket of kind %q", kind)
		}
		c.api, c.mem.ticket = api, true
	}
	return c, nil
}

// errSame is the answer to a report of a token that WeChat goes on giving.
var errSame = &Error{
	Reason: Budget, Code: budgetCode, Message: "WeChat still gives what was rejected",
	Hint: "was it really refused with 40001, 40014 or 42001?", RetryAfter: forcedLife,
}

// report notes that an app's call was refused with our live token, which is also
// the newest one that memcached knows, and that this sidecar is to renew it.
func (c *credential) report(rejected string) {
	fp := memcache.Fingerprint(rejected)
	c.mu.Lock()
	c.mandate = fp
	news := c.mem.live(c.Wall) && c.mem.record.Token == rejected && c.mem.rejected != fp
	age := time.Duration(0)
	if news {
		c.mem.rejected = fp
		c.counts.Rejections++
		age = c.mem.age(c.Wall)
	}
	c.mu.Unlock()
	switch {
	case news && c.mem.ticket:
		c.log().Warn("a ticket was rejected before its time", "ticket_fingerprint", fp, "age_seconds", int(age.Seconds()), "hint", TicketHint)
	case news:
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
	before := c.mem.record
	if !c.mem.adopt(r, c.Wall) {
		return false
	}
	if before != nil && before.Issued != r.Issued && r != c.own {
		c.counts.Adopted++
	}
	c.refusal = refusal{}
	c.tell()
	c.arm()
	return true
}

// told is what the last Change was about.
type told struct {
	value string
	dies  int64
}

// tell says what is held now, where it is another credential than before. The
// caller holds mu.
func (c *credential) tell() {
	r := c.mem.record
	now := told{r.Token, r.Expires}
	if c.Changed == nil || c.told == now {
		return
	}
	c.told = now
	c.Changed(Change{
		AppID: c.account.AppID, Kind: c.kind, Value: r.Token, Number: r.Number,
		Dies: c.Wall().Add(c.mem.left(c.Wall)), Own: c.own != nil && c.own.Token == r.Token,
	})
}

// nudge looks at memcached because a reader missed: at most once a second, or
// ten times while memcached is down, so that it is full again as soon as it is
// back. The caller holds mu.
func (c *credential) nudge(now time.Time) {
	every := time.Second
	if !c.downSince.IsZero() {
		every = 100 * time.Millisecond
	}
	if c.nudging || c.closed || now.Sub(c.nudged) < every {
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
// been replaced long ago. The caller holds mu.
func (c *credential) slept(now time.Time) bool {
	return c.mem.record != nil && c.downSince.IsZero() && now.Sub(c.looked) > 2*lookEvery(1)
}

// catchUp looks at memcached after this process was stopped, once for all who
// ask meanwhile.
func (c *credential) catchUp(ctx context.Context) {
	c.mu.Lock()
	caught, first := c.catching, c.catching == nil
	if first {
		caught = make(chan struct{})
		c.catching = caught
	}
	c.mu.Unlock()
	if !first {
		select {
		case <-caught:
		case <-ctx.Done():
		}
		return
	}
	c.look()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.catching = nil
	close(caught)
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
