package keeper

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
)

const (
	// surveyEvery is the shortest time from one survey to the next.
	surveyEvery = time.Second
	// surveyShare is the share of the time, 1 in 20, that surveys can take at most. With
	// 10,000 accounts a survey takes long, and every caller can send an unknown token.
	surveyShare = 20
)

// owners is the state of searches for the owner of a token. The group's mu guards it.
type owners struct {
	tokens     []*credential // the access_tokens; nil: the list must be made again
	surveying  chan struct{} // closed when the survey that runs is done; nil if none runs
	nextSurvey time.Time     // no survey begins before then
}

// OwnerOf returns the account that owns an access_token: the current one or, within its
// grace period, the previous one. It returns "" if no account of this sidecar owns it.
//
// proven is true if the token was compared in full. Otherwise this sidecar never held it,
// and compared 32 bits of its hash with the record: enough to find the owner if the
// caller may ask for any token, and too few to authenticate a caller.
//
// It compares all tokens: 0.5 µs for one account, 0.4 ms for 10,000. The memory is two
// hashes for each credential. Another sidecar can have fetched the token a moment ago: if
// it is not found, OwnerOf polls memcached and searches again.
func (g *Group) OwnerOf(ctx context.Context, token string) (appID string, proven bool) {
	digest, fingerprint := sha256.Sum256([]byte(token)), memcache.Fingerprint(token)
	appID, proven = g.owner(digest, fingerprint)
	if appID == "" && g.survey(ctx) {
		return g.owner(digest, fingerprint)
	}
	return appID, proven
}

func (g *Group) owner(digest [sha256.Size]byte, fingerprint string) (appID string, proven bool) {
	for _, c := range g.accessTokens() {
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

// accessTokens returns the credentials of that kind. The list is made once after each
// change of the accounts, and is not changed itself.
func (g *Group) accessTokens() []*credential {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.owners.tokens == nil {
		g.owners.tokens = make([]*credential, 0, len(g.credentials))
		for at, c := range g.credentials {
			if at.kind == memcache.AccessToken {
				g.owners.tokens = append(g.owners.tokens, c)
			}
		}
	}
	return g.owners.tokens
}

// survey polls all access_tokens, once for all callers meanwhile. It reports whether it
// did: not if the last survey was too recent, or ctx ended.
func (g *Group) survey(ctx context.Context) bool {
	g.mu.Lock()
	done, first := g.owners.surveying, g.owners.surveying == nil
	if first && time.Now().Before(g.owners.nextSurvey) {
		g.mu.Unlock()
		return false
	}
	if first {
		done = make(chan struct{})
		g.owners.surveying = done
	}
	g.mu.Unlock()
	if first && !g.work(func(context.Context) { g.surveyAll(done) }) {
		close(done) // the sidecar is stopping: no other survey begins
	}
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

func (g *Group) surveyAll(done chan struct{}) {
	start := time.Now()
	g.poll(g.accessTokens())
	g.mu.Lock()
	defer g.mu.Unlock()
	g.owners.surveying = nil
	g.owners.nextSurvey = time.Now().Add(max(surveyEvery, surveyShare*time.Since(start)))
	close(done)
}
