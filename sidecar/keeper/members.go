package keeper

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
)

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// find returns a credential, or an Error with the reason NotConfigured.
func (g *Group) find(appID string, kind memcache.Kind) (*credential, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c, ok := g.credentials[credentialKey{appID, kind}]
	if !ok && g.credentials[credentialKey{appID, memcache.AccessToken}] != nil {
		return nil, &Error{
			Reason: NotConfigured, Code: 404, Message: "this sidecar does not keep the " + string(kind) + " of this appid",
			Hint: hint.NoTicket(string(ticketAPIs[kind]), appID),
		}
	}
	if !ok {
		return nil, &Error{
			Reason: NotConfigured, Code: 40013, Message: "invalid appid: not configured in this sidecar",
			Hint: hint.UnknownAppID,
		}
	}
	return c, nil
}

// credentialCount returns the number of credentials of this sidecar.
func (g *Group) credentialCount() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.credentials)
}

// all returns the credentials, sorted by their keys, so that two runs with the same
// Config.Rand do the same.
func (g *Group) all() []*credential {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]*credential, 0, len(g.credentials))
	for _, c := range g.credentials {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *credential) int {
		return cmp.Or(cmp.Compare(a.account.AppID, b.account.AppID), cmp.Compare(a.kind, b.kind))
	})
	return all
}

// work runs a function in a goroutine that Close waits for. It reports false, and runs
// nothing, if the group is stopping.
func (g *Group) work(work func(ctx context.Context)) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopping {
		return false
	}
	g.running.Go(func() { work(g.ctx) })
	return true
}

// Outage describes a memcached server that fails.
type Outage struct {
	// Server is its name, as configured.
	Server string
	// Since is when its first poll failed, and Err why the last one did.
	Since time.Time
	Err   error
}

// outage is a server that fails.
type outage struct {
	polls int // polls that failed in a row
	since time.Time
	err   error
}

// Outages returns the servers that failed at the last poll, by name.
func (g *Group) Outages() []Outage {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []Outage
	for server, o := range g.outages {
		all = append(all, Outage{server, o.since, o.err})
	}
	slices.SortFunc(all, func(a, b Outage) int { return cmp.Compare(a.Server, b.Server) })
	return all
}

// forgetOutages drops the outages of servers that no account uses any more: they are not
// polled. The caller holds mu.
func (g *Group) forgetOutages() {
	used := map[string]bool{}
	for _, c := range g.credentials {
		used[c.slot.Server()] = true
	}
	maps.DeleteFunc(g.outages, func(server string, _ *outage) bool { return !used[server] })
}

// noteOutage notes the result of a poll of a server. It logs one line at the second
// failure in a row, and one when the server answers again, for any number of accounts.
func (g *Group) noteOutage(server string, err error) {
	g.mu.Lock()
	o, begun, ended := g.outages[server], false, false
	switch {
	case err == nil && o == nil:
	case err == nil:
		delete(g.outages, server)
		ended = o.polls > 1
	case o == nil:
		g.outages[server] = &outage{1, time.Now(), err}
	default:
		o.polls++
		o.err = err
		begun = o.polls == 2
	}
	g.mu.Unlock()
	switch {
	case begun:
		g.cfg.Log.Warn("memcached unavailable, serving from memory", "server", server, "error", err.Error(),
			"hint", hint.Memcached(err))
	case ended:
		g.cfg.Log.Info("memcached available again", "server", server, "seconds", int(time.Since(o.since).Seconds()))
	}
}
