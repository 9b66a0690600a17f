package wechattest

import (
	"slices"
	"time"
)

// Issue is a token or ticket in an answer of WeChat.
type Issue struct {
	Seq          int       // from 1, in the order of processing
	AppID        string    // the account
	API          string    // "token" or "stable_token"; for a ticket "jsapi" or "wx_card"
	ForceRefresh bool      // the request had force_refresh
	Token        string    // the token or ticket; it contains "canarytoken"
	At, Expires  time.Time // a later token can end it before Expires
	New          bool      // false: stable_token returned the same token again
	External     bool      // by [Server.FetchExternally]
}

// log logs an issued token. The lock is held.
func (s *Server) log(i Issue, tok *token, now time.Time) {
	i.Seq, i.Token, i.At, i.Expires = len(s.issued)+1, tok.value, now, tok.expires
	s.issued = append(s.issued, i)
}

// Issued returns all issued tokens, whether their answers arrived or not. For tickets
// see [Server.Tickets].
func (s *Server) Issued() []Issue {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.issued)
}

// Issues returns the number of new tokens of an account, or of all for "". It does not
// count external tokens.
func (s *Server) Issues(appID string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, i := range s.issued {
		if i.New && !i.External && (appID == "" || i.AppID == appID) {
			n++
		}
	}
	return n
}

// Requests returns the number of requests for credentials, failed ones included. ""
// means any AppID, or any API.
func (s *Server) Requests(appID, api string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for kind, requests := range s.requests {
		if (appID == "" || kind.appID == appID) && (api == "" || kind.api == api) {
			n += requests
		}
	}
	return n
}

// FetchExternally issues a classic token to a program other than the sidecars, and so
// ends the previous token. It counts neither as a request nor for the quota. It returns
// an empty string for an unknown AppID.
func (s *Server) FetchExternally(appID string) (token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	acc, ok := s.accounts[appID]
	if !ok {
		return ""
	}
	now := s.now()
	q := acc.quota[classicAPI]
	q.at(now)
	q.count()
	tok := s.newClassic(acc, now)
	s.log(Issue{AppID: appID, API: classicAPI, New: true, External: true}, tok, now)
	return tok.value
}
