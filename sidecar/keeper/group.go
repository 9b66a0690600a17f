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
	behind      bool               // the last progress told was not the end
	outages     map[string]*outage // by the server's name; none for one that answers
	running     sync.WaitGroup     // polls and renewals
	owners      owners

	queue *queue // the renewals that nobody waits for

	ctx    context.Context //nolint:containedctx // ends the renewals under way, which outlive the calls that start them
	cancel context.CancelFunc
}

// credentialKey names one credential.
type credentialKey struct {
	appID string
	kind  memcache.Kind
}

// New returns a Group without accounts. Run keeps what SetAccounts names; Close
// ends it.
func New(cfg Config) *Group {
	ctx, cancel := context.WithCancel(context.Background())
	g := &Group{
		cfg: cfg.withDefaults(), credentials: map[credentialKey]*credential{}, outages: map[string]*outage{},
		ctx: ctx, cancel: cancel,
	}
	g.queue = newQueue(&g.running)
	return g
}

// SetAccounts sets which accounts are kept from now on. New ones are polled at once.
// Nothing is given of those that are gone; what memcached has of them stays until it
// expires. It returns an error, and changes nothing, if an AppID is malformed or a kind
// of ticket is unknown.
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
	g.owners.tokens = nil
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

// Run polls everything every 10 to 15 s until ctx ends.
func (g *Group) Run(ctx context.Context) {
	start := time.Now()
	g.waitForMemcached(ctx)
	for wait := protocol.PollEvery(g.cfg.Rand()) - time.Since(start); pause(ctx, wait) == nil; wait = protocol.PollEvery(g.cfg.Rand()) {
		g.poll(g.all())
		g.housekeep()
	}
}

// waitForMemcached polls often if memcached does not answer at the start, as long as its
// answer is worth waiting for: an app should begin with a hit.
func (g *Group) waitForMemcached(ctx context.Context) {
	for start := time.Now(); time.Since(start) < reachPatience && pause(ctx, reachEvery) == nil; {
		if len(g.Outages()) > 0 {
			g.poll(g.all())
		}
	}
}

// Close stops: no renewal begins any more. Those under way may finish until ctx
// ends; then their calls are cut, and Close returns once all have ended. A lease
// under which a call was cut is left to lapse.
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

// Token gives the live credential at once where there is one, else the one that
// a renewal brings. Every error is an *Error.
func (g *Group) Token(ctx context.Context, appID string, kind memcache.Kind) (Grant, error) {
	c, err := g.find(appID, kind)
	if err != nil {
		return Grant{}, err
	}
	return c.token(ctx)
}

// Refresh gives a credential other than rejected, which WeChat refused: the
// current one where it is another, else the one that exactly one renewal brings
// however many ask. Every error is an *Error.
func (g *Group) Refresh(ctx context.Context, appID string, kind memcache.Kind, rejected string) (Grant, error) {
	c, err := g.find(appID, kind)
	if err != nil {
		return Grant{}, err
	}
	return c.refresh(ctx, rejected)
}

// States is how every credential is doing, by AppID.
func (g *Group) States() []State {
	all := g.all()
	states := make([]State, len(all))
	for i, c := range all {
		states[i] = c.state()
	}
	return states
}

// poll reads entries and records of all of them with few round trips, and
// has each compare them with what it remembers. If a server fails, only its own
// credentials are not polled.
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

// logProgress logs how far a start with many accounts is: at every look until
// each has had its turn, and then once.
func (g *Group) logProgress() {
	held, waiting := 0, 0
	all := g.all()
	for _, c := range all {
		now := c.now()
		c.mu.Lock()
		live, tried := c.held.Valid(now), c.backoff.err != nil
		c.mu.Unlock()
		switch {
		case live:
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
		g.cfg.Log.Info("fetching what memcached does not hold", "held", held, "waiting", waiting, "failed", failed)
	case begun:
		g.cfg.Log.Info("everything has been fetched or tried", "held", held, "failed", failed)
	}
}

// housekeep follows each poll: it logs the progress of a start, and closes the
// connections that renewals opened when no renewal is left.
func (g *Group) housekeep() {
	g.logProgress()
	if g.queue.isIdle() {
		g.cfg.Store.Trim()
	}
}
