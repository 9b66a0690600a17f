package wechattest

import "time"

// Call is a credential call that reached the server, not processed yet.
type Call struct {
	AppID string
	API   string // "token", "stable_token", "jsapi" or "wx_card"
	N     int    // the how manieth of this server, from 1
	Force bool   // force_refresh was asked for
}

// Kind is how an answer goes wrong.
type Kind int

// Kinds of answers. "Issued" means that the call was processed: if it passed its
// checks, a token that nobody got is in [Server.Issued].
const (
	Normal            Kind = iota
	Hang                   // never answered until the client leaves; not issued
	IssuedHang             // issued, never answered until the client leaves
	Reset                  // connection reset; not issued
	IssuedNoAnswer         // issued, connection reset
	ServerError            // HTTP 502; not issued
	IssuedServerError      // issued, HTTP 502
	HTML                   // HTTP 200 with a web page; not issued
	Redirect               // HTTP 302 to /cgi-bin/redirected; not issued
	Huge                   // an endless body, until the client leaves; not issued
	EmptyToken             // success with an empty token or ticket; not issued
	TruncatedJSON          // issued, answer cut in the middle
	NoExpires              // issued, answer without expires_in
	ZeroExpires            // issued, expires_in 0
	ShortExpires           // issued, expires_in 9
	Raw                    // Answer.Status and Answer.Body as they are; not issued
)

// Answer says what to do with a call. The zero Answer is the normal one.
type Answer struct {
	// Errcode refuses the call without processing it. 0: do not.
	Errcode int
	// Errmsg is the text beside Errcode. Empty: WeChat's own, with a rid.
	Errmsg string
	// Delay comes before processing, DelayAfter between processing and answering.
	// Both end when the client leaves; a call whose client left during Delay is
	// not processed.
	Delay, DelayAfter time.Duration
	// Late processes the call after Delay even if the client has left: a request
	// stuck in the network.
	Late bool
	// Kind is how the answer goes wrong. Zero: not at all.
	Kind Kind
	// Status and Body are for Raw. Status zero: 200.
	Status int
	Body   string
}

// processed says whether the call is processed before the answer goes wrong.
func (k Kind) processed() bool {
	switch k {
	case Hang, Reset, ServerError, HTML, Redirect, Huge, EmptyToken, Raw:
		return false
	case Normal, IssuedHang, IssuedNoAnswer, IssuedServerError, TruncatedJSON, NoExpires, ZeroExpires, ShortExpires:
	}
	return true
}

// OnCall sets what decides about each credential call before it is processed. It
// is called without a lock, from the goroutine of the call; it may call the
// server. Nil: every call is normal.
func (s *Server) OnCall(hook func(Call) Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = hook
}

// arrive counts a call and asks what to do with it.
func (s *Server) arrive(appID, api string, force bool) Answer {
	s.mu.Lock()
	s.calls[callKind{appID, api}]++
	s.arrived++
	call := Call{AppID: appID, API: api, N: s.arrived, Force: force}
	hook, failing := s.hook, s.failing
	s.mu.Unlock()

	var answer Answer
	if hook != nil {
		answer = hook(call)
	}
	if answer == (Answer{}) {
		answer.Errcode = failing
	}
	return answer
}
