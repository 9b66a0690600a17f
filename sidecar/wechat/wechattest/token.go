package wechattest

import (
	"crypto/rand"
	"encoding/base64"
	"strings"
	"time"
)

// token is an issued token or ticket. The server's lock guards it.
type token struct {
	value   string
	appID   string
	expires time.Time // then 42001
	ends    time.Time // then 40001, because of a later token; zero if there is none
}

// newToken makes a unique token. It contains a mark, so that tests can find leaks.
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
		appID: appID, expires: now.Add(s.expiresIn),
	}
}

// endAt sets when the token ends. The earliest time counts.
func (t *token) endAt(end time.Time) {
	if t.ends.IsZero() || end.Before(t.ends) {
		t.ends = end
	}
}

// errcode returns the answer of an API to the token: 0 until the last nanosecond.
func (t *token) errcode(now time.Time) int {
	switch {
	case !now.Before(t.expires):
		return 42001
	case !t.ends.IsZero() && !now.Before(t.ends):
		return 40001
	}
	return 0
}

// Accepts returns what an API would answer to the token now: 0, 40001 (ended by a later
// token, or unknown) or 42001 (expired). It does not count as a request.
func (s *Server) Accepts(token string) (errcode int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.tokens[token]
	if !ok {
		return 40001
	}
	return t.errcode(s.now())
}

// wellFormed reports whether a text can be a token; if not, the errcode is 40014.
func wellFormed(token string) bool {
	return len(token) >= 16 && !strings.ContainsFunc(token, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
	})
}
