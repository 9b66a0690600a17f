package keeper

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
)

// Group keeps all the credentials of one sidecar. It is safe for concurrent use.
type Group struct {
	cfg Config

	mu          sync.Mutex // guards what follows; never held over I/O
	credentials map[credentialKey]*credential
	stopping    bool
	behind      bool               // the last progress that was logged was not the end
	outages     map[string]*outage // by the server's name; none for a server that answers
	running     sync.WaitGroup     // polls and renewals
	ownerPoll   *ownerPoll         // the last one

	queue *queue // the renewals that nobody waits for

	ctx    context.Context //nolint:containedctx // ends the renewals that run: they outlive the calls that start them
	cancel context.CancelFunc
}

// credentialKey names one credential.
type credentialKey struct {
	appID string
	kind  memcache.Kind
}

// New returns a Group without accounts. SetAccounts adds them, Run polls them, and Close
// ends the group.
func New(cfg Config) *Group {
	ctx, cancel := context.WithCancel(context.Background())
	g := &Group{
		cfg: cfg.withDefaults(), credentials: map[credentialKey]*credential{}, outages: map[string]*outage{},
		ctx: ctx, cancel: cancel,
	}
	g.queue = newQueue(&g.running)
	return g
}

// SetAccounts replaces the list of accounts. New ones are polled at once. Removed ones
// get no answers any more; their keys in memcached stay until they expire. It returns an
// error, and changes nothing, if an AppID is malformed or a kind of ticket is unknown.
func (g *Group) SetAccounts(accounts []Account) error {
	wanted := make(map[credentialKey]*credential, len(accounts))
	var order []credentialKey
	for _, account := range accounts {
		for _, kind := range append([]memcache.Kind{memcache.AccessToken}, account.Tickets...) {
			c, err := g.newCredential(account, kind)
			if err != nil {
				return err
			}
			at := credentialKey{account.AppID, kind}
			if wanted[at] == nil {
				order = append(order, at)
			}
			wanted[at] = c
		}
	}
	g.mu.Lock()
	var fresh, gone []*credential
	for at, old := range g.credentials {
		if _, ok := wanted[at]; !ok {
			gone = append(gone, old)
			delete(g.credentials, at)
		}
	}
	for _, at := range order {
		if _, ok := g.credentials[at]; !ok {
			g.credentials[at] = wanted[at]
			fresh = append(fresh, wanted[at])
		}
	}
	g.forgetOutages()
	g.mu.Unlock()
	for _, old := range gone {
		old.close()
	}
	// Tokens queue first, or each ticket would take its token past the queue.
	var tokens, tickets []*credential
	for _, c := range fresh {
		if c.kind == memcache.AccessToken {
			tokens = append(tokens, c)
		} else {
			tickets = append(tickets, c)
		}
	}
	g.work(func(context.Context) {
		g.poll(tokens)
		g.poll(tickets)
	})
	return nil
}

// Run polls all credentials every 10 to 15 s until ctx ends, and every 2 to 3 s while
// memcached fails.
func (g *Group) Run(ctx context.Context) {
	start := time.Now()
	g.waitForMemcached(ctx)
	for wait := g.pollEvery() - time.Since(start); pause(ctx, wait) == nil; wait = g.pollEvery() {
		g.poll(g.all())
		g.housekeep()
	}
}

// pollEvery returns the time to the next poll.
func (g *Group) pollEvery() time.Duration {
	if len(g.Outages()) > 0 {
		return protocol.PollEvery(g.cfg.Rand()) / 5
	}
	return protocol.PollEvery(g.cfg.Rand())
}

// waitForMemcached polls every 250 ms if memcached does not answer at the start, or if it
// lacks a token that this sidecar holds, for 5 s at most: an app should begin with a hit.
func (g *Group) waitForMemcached(ctx context.Context) {
	for start := time.Now(); time.Since(start) < reachPatience && pause(ctx, reachEvery) == nil; {
		if len(g.Outages()) > 0 || slices.ContainsFunc(g.all(), (*credential).unpublished) {
			g.poll(g.all())
		}
	}
}

// Close stops the group: no renewal begins any more. Those that run can finish until ctx
// ends. Then their requests are cut, and Close returns when all have ended. The lease of
// a request that was cut is not released: it expires.
func (g *Group) Close(ctx context.Context) {
	g.mu.Lock()
	g.stopping = true
	g.mu.Unlock()
	g.queue.close()
	for _, c := range g.all() {
		c.close()
	}
	stop := context.AfterFunc(ctx, g.cancel)
	g.running.Wait()
	stop()
	g.cancel()
}

// Token returns the valid credential at once if there is one. Otherwise it waits for the
// one that a renewal brings, until ctx ends or for MaxWait. Every error is an *Error.
func (g *Group) Token(ctx context.Context, appID string, kind memcache.Kind) (Grant, error) {
	c, err := g.find(appID, kind)
	if err != nil {
		return Grant{}, err
	}
	return c.token(ctx)
}

// Refresh returns a credential other than rejected, which WeChat refused: the current
// one if that is another, or the one that a renewal brings. All callers together cause
// one renewal. Every error is an *Error.
func (g *Group) Refresh(ctx context.Context, appID string, kind memcache.Kind, rejected string) (Grant, error) {
	c, err := g.find(appID, kind)
	if err != nil {
		return Grant{}, err
	}
	return c.refresh(ctx, rejected)
}

// States returns the state of every credential, sorted by AppID and kind.
func (g *Group) States() []State {
	all := g.all()
	states := make([]State, len(all))
	for i, c := range all {
		states[i] = c.state()
	}
	return states
}

// AppIDs returns the AppIDs of all accounts, sorted.
func (g *Group) AppIDs() []string {
	var appIDs []string
	for _, c := range g.all() {
		if c.kind == memcache.AccessToken {
			appIDs = append(appIDs, c.account.AppID)
		}
	}
	return appIDs
}

// poll reads the entries and records of the credentials with few round trips, and
// reconciles each. If a server fails, only its own credentials are not polled.
func (g *Group) poll(credentials []*credential) {
	of := map[string][]*credential{}
	for _, c := range credentials {
		of[c.slot.Server()] = append(of[c.slot.Server()], c)
	}
	for _, server := range slices.Sorted(maps.Keys(of)) {
		g.pollOn(server, of[server])
	}
}

// pollOn polls the credentials of one server, a batch at a time: what was read must not
// be old when it is used.
func (g *Group) pollOn(server string, credentials []*credential) {
	for batch := range slices.Chunk(credentials, memcache.PollBatch) {
		slots := make([]*memcache.Slot, len(batch))
		for i, c := range batch {
			slots[i] = c.slot
		}
		views, err := g.cfg.Store.Poll(slots)
		g.noteOutage(server, err)
		if err != nil {
			for _, c := range credentials {
				c.memcachedFailed()
			}
			return
		}
		for i, c := range batch {
			c.reconcile(views[i])
		}
	}
}

// logProgress logs the progress of a start with many accounts: after each poll until
// every credential was fetched or tried, and then once.
func (g *Group) logProgress() {
	held, waiting := 0, 0
	all := g.all()
	for _, c := range all {
		now := c.now()
		c.mu.Lock()
		valid, tried := c.held.Valid(now), c.backoff.err != nil
		c.mu.Unlock()
		switch {
		case valid:
			held++
		case !tried:
			waiting++
		}
	}
	g.mu.Lock()
	begun := g.behind
	g.behind = waiting > 0
	g.mu.Unlock()
	switch failed := len(all) - held - waiting; {
	case waiting > 0:
		g.cfg.Log.Info("initial fetch in progress", "held", held, "waiting", waiting, "failed", failed)
	case begun:
		g.cfg.Log.Info("initial fetch finished", "held", held, "failed", failed)
	}
}

// housekeep runs after each poll: it logs the progress of a start, and closes the
// connections that renewals opened if no renewal is left.
func (g *Group) housekeep() {
	g.logProgress()
	if g.queue.isIdle() {
		g.cfg.Store.Trim()
	}
}
