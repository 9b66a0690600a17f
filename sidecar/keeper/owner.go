package keeper

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// ownerPollEvery is the shortest time between two polls for the owner of a token: every
// caller can send an unknown token.
const ownerPollEvery = time.Second

// ownerPoll is a poll that looks for the owner of a token.
type ownerPoll struct {
	start time.Time
	done  chan struct{} // closed when it ended
}

// due reports whether the next poll can begin.
func (p *ownerPoll) due() bool {
	if p == nil {
		return true
	}
	select {
	case <-p.done:
		return time.Since(p.start) >= ownerPollEvery
	default:
		return false
	}
}

// OwnerOf returns the account that owns an access_token: the current one or, within its
// grace period, the previous one. It returns "" if no account of this sidecar owns it.
//
// proven is true if the token was compared in full. Otherwise this sidecar never held it,
// and compared 32 bits of its hash with the record: enough to find the owner if the
// caller may ask for any token, and too few to authenticate a caller.
//
// It compares the tokens of all accounts. Another sidecar can have fetched the token a
// moment ago: if it is not found, OwnerOf polls memcached and searches again.
func (g *Group) OwnerOf(ctx context.Context, token string) (appID string, proven bool) {
	digest, fingerprint := sha256.Sum256([]byte(token)), memcache.Fingerprint(token)
	if appID, proven = g.owner(digest, fingerprint); appID != "" {
		return appID, proven
	}
	g.pollForOwner(ctx)
	return g.owner(digest, fingerprint)
}

func (g *Group) owner(digest [sha256.Size]byte, fingerprint string) (appID string, proven bool) {
	for _, c := range g.all() {
		if c.isTicket() {
			continue
		}
		now := c.now()
		c.mu.Lock()
		owns, inFull := c.knows(digest, fingerprint, now)
		c.mu.Unlock()
		switch {
		case inFull:
			return c.account.AppID, true
		case owns:
			appID = c.account.AppID // unless another one's is the same in full
		}
	}
	return appID, false
}

// Secret returns what reads an account's AppSecret, for a request that is no renewal. If this
// sidecar does not have the account, it returns an *Error.
func (g *Group) Secret(appID string) (func() (string, error), error) {
	c, err := g.find(appID, memcache.AccessToken)
	if err != nil {
		return nil, err
	}
	return c.account.Secret, nil
}

// pollForOwner polls all credentials if it is due, and waits for the end of the last such
// poll, or of ctx.
func (g *Group) pollForOwner(ctx context.Context) {
	g.mu.Lock()
	last, due := g.ownerPoll, g.ownerPoll.due()
	if due {
		last = &ownerPoll{time.Now(), make(chan struct{})}
		g.ownerPoll = last
	}
	g.mu.Unlock()
	if due && !g.work(func(context.Context) { g.poll(g.all()); close(last.done) }) {
		close(last.done) // the sidecar is stopping
	}
	select {
	case <-last.done:
	case <-ctx.Done():
	}
}
