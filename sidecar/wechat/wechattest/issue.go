package wechattest

import (
	"slices"
	"time"
)

// Issue is a token that WeChat gave out.
type Issue struct {
	Seq      int       // from 1, in the order of processing
	AppID    string    // whose token it is
	API      string    // "token" or "stable_token"; for a ticket "jsapi" or "wx_card"
	Forced   bool      // force_refresh was asked for
	Token    string    // the token, or ticket; contains "canarytoken"
	At, Dies time.Time // Dies is its own end; a later token may end it sooner
	New      bool      // false: stable_token gave the same token again
	Stranger bool      // fetched by [Server.Steal]
}

// log notes a token that was given out. The lock is held.
func (s *Server) log(i Issue, tok *token, now time.Time) {
	i.Seq, i.Token, i.At, i.Dies = len(s.issued)+1, tok.value, now, tok.dies
	s.issued = append(s.issued, i)
}

// Issued is the log of all tokens given out, whether their answers arrived or
// not. Tickets have a log of their own, see [Server.Tickets].
func (s *Server) Issued() []Issue {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.issued)
}

// Issues counts the new tokens of an account, "" of all, without those of
// strangers.
func (s *Server) Issues(appID string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, i := range s.issued {
		if i.New && !i.Stranger && (appID == "" || i.AppID == appID) {
			n++
		}
	}
	return n
}

// Calls counts the credential calls that reached the server, whatever became of
// them; "" is any AppID, any API.
func (s *Server) Calls(appID, api string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for kind, calls := range s.calls {
		if (appID == "" || kind.appID == appID) && (api == "" || kind.api == api) {
			n += calls
		}
	}
	return n
}

// Steal fetches a classic token as a stranger would who knows the AppSecret, and
// so supersedes the one before. It counts neither as a call nor for the quota.
// Empty for an unknown AppID.
func (s *Server) Steal(appID string) (token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	acc, ok := s.accounts[appID]
	if !ok {
		return ""
	}
	now := s.now()
	tok := s.newClassic(acc, now)
	s.log(Issue{AppID: appID, API: classicAPI, New: true, Stranger: true}, tok, now)
	return tok.value
}
