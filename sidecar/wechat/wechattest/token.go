package wechattest

import (
	"crypto/rand"
	"encoding/base64"
	"strings"
	"time"
)

// token is one that was issued, or a ticket. The server's lock guards it.
type token struct {
	value string
	appID string
	dies  time.Time // by itself: 42001
	ends  time.Time // because another superseded it: 40001; zero: not superseded
}

// newToken makes a unique token. Its mark lets leaks be searched for.
func (s *Server) newToken(acc *account, now time.Time) *token {
	t := s.make(acc.appID, "90_", now)
	s.tokens[t.value] = t
	return t
}

func (s *Server) make(appID, prefix string, now time.Time) *token {
	const mark = "canarytoken"
	random := make([]byte, s.tokenLength)
	_, _ = rand.Read(random) // never fails
	return &token{
		value: (prefix + mark + base64.RawURLEncoding.EncodeToString(random))[:s.tokenLength],
		appID: appID, dies: now.Add(s.expiresIn),
	}
}

// endAt supersedes a token, at the earliest of what it was told.
func (t *token) endAt(end time.Time) {
	if t.ends.IsZero() || end.Before(t.ends) {
		t.ends = end
	}
}

// errcode is what an API answers to the token: 0 up to the last nanosecond.
func (t *token) errcode(now time.Time) int {
	switch {
	case !now.Before(t.dies):
		return 42001
	case !t.ends.IsZero() && !now.Before(t.ends):
		return 40001
	}
	return 0
}

// Accepts says what an API would answer to the token at this moment: 0, 40001
// (superseded or unknown) or 42001 (expired). It does not count as a call.
func (s *Server) Accepts(token string) (errcode int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.tokens[token]
	if !ok {
		return 40001
	}
	return t.errcode(s.now())
}

// wellFormed tells a token from garbage, for 40014.
func wellFormed(token string) bool {
	return len(token) >= 16 && !strings.ContainsFunc(token, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
	})
}
