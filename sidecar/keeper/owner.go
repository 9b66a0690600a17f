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
	// surveyShare is the largest share of the time, 1 in 20, that surveys may take:
	// of 10,000 accounts one takes long, and anybody can ask for a token of nobody.
	surveyShare = 20
)

// owners is what a search for the owner of a token needs. The group's mu guards it.
type owners struct {
	tokens     []*credential // the access_tokens; nil: the list must be made anew
	surveying  chan struct{} // closed when the survey that runs is done; nil if none runs
	nextSurvey time.Time     // no survey begins before then
}

// OwnerOf is the account that owns an access_token: its current one or, as long
// as WeChat's grace for it lasts, the one before. Empty: nobody kept here.
//
// proven is whether the token was compared in full. Else this sidecar never held
// it, and the record has 32 bits of its hash: enough to tell whose it is when the
// caller may ask for any token anyway, and too few to let a caller in.
//
// All tokens are gone through: 0.5 µs for one account, 0.4 ms for 10,000, and no
// memory but two hashes per credential. One that is not found may be what another
// sidecar fetched a moment ago: memcached is asked, and it is looked for again.
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

// accessTokens is the credentials of that kind. The list is made once after each
// change of the accounts, and never changed itself.
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

// survey looks at all access_tokens in memcached, once for all who ask meanwhile.
// It reports whether it did; false too soon after the last one.
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
		close(done) // the sidecar is stopping: nobody begins another
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
