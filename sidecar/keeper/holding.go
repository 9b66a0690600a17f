package keeper

import (
	"crypto/sha256"
	"log/slog"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// settings is what does not change of a credential.
type settings struct {
	*Config // the group's
	group   *Group
	account Account
	kind    memcache.Kind
	api     wechat.API // how the credential is fetched
	slot    *memcache.Slot
	spread  float64 // of this sidecar's jitter, 0 to 1
}

// isTicket reports whether the credential is fetched with a token.
func (s *settings) isTicket() bool { return s.kind != memcache.AccessToken }

// claims reports whether each request invalidates the previous credential.
func (s *settings) claims() bool { return s.api == wechat.Token }

func (s *settings) now() protocol.Now { return protocol.Now{Wall: s.Wall(), Mono: time.Now()} }

func (s *settings) log() *slog.Logger {
	return s.Log.With("appid", s.account.AppID, "kind", string(s.kind))
}

// last returns the last credential that was held, valid or not; empty if there was none.
func (c *credential) last() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held.Last()
}

// rest returns how long a request for another ticket makes no sense.
func (c *credential) rest(why protocol.Why) time.Duration {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if why.IsReport() {
		return 0
	}
	return c.held.Rest(now)
}

// grant returns the valid credential, or false if there is none.
func (c *credential) grant() (Grant, bool) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.grantAt(now)
}

// grantAt is grant. The caller holds mu.
func (c *credential) grantAt(now protocol.Now) (Grant, bool) {
	promise, ok := c.held.Promise(now)
	if !ok {
		return Grant{}, false
	}
	number, life := c.held.ToDownstream(now)
	return Grant{Value: c.held.Record.Token, ExpiresIn: promise, Number: number, Life: life}, true
}

// wants reports whether the renewal is still wanted.
func (c *credential) wants(why protocol.Why) bool {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held.Wants(why, now, c.spread)
}

// serves reports whether there is a token to give while another sidecar renews.
func (c *credential) serves(why protocol.Why) bool {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held.Serves(why, now)
}

// history is what this sidecar held lately, and which changes were notified. The
// credential's mu guards it.
type history struct {
	lastNotified string            // token of the last Change
	expires      int64             // of the same
	change       *Change           // not notified yet; nil if there is none
	notifying    bool              // a goroutine calls Config.Changed
	own          string            // fingerprint of the last token that this sidecar fetched
	held, before [sha256.Size]byte // hashes of the newest token, and of the one before it
}

// hold notes the token that is held.
func (h *history) hold(token string) {
	if digest := sha256.Sum256([]byte(token)); digest != h.held {
		h.held, h.before = digest, h.held
	}
}

// knows reports whether a token is the held one, or the one that this replaced less than
// a grace period ago, and whether it was compared in full. The caller holds mu.
func (c *credential) knows(digest [sha256.Size]byte, fingerprint string, now protocol.Now) (owns, inFull bool) {
	valid := c.held.Valid(now)
	switch {
	case !valid:
		return false, false
	case digest == c.history.held:
		return true, true
	case len(c.held.Record.Past) > 0 && c.held.Record.Past[0] == fingerprint:
		owns = c.held.Age(now) < protocol.Grace
		return owns, owns && digest == c.history.before
	}
	return false, false
}
