package wechattest

import "time"

// Request is a request for a credential that reached the server. It is not processed
// yet.
type Request struct {
	AppID string
	API   string // "token", "stable_token", "jsapi" or "wx_card"
	N     int    // its number on this server, from 1
	Force bool   // with force_refresh
}

// Kind is how an answer fails.
type Kind int

// Kinds of answers. "Issued" means that a valid request was processed: [Server.Issued]
// has a token that no client received.
const (
	Normal            Kind = iota
	Hang                   // no answer; not issued
	IssuedHang             // issued, no answer
	Reset                  // connection reset; not issued
	IssuedNoAnswer         // issued, connection reset
	ServerError            // HTTP 502; not issued
	IssuedServerError      // issued, HTTP 502
	HTML                   // HTTP 200 with a web page; not issued
	Redirect               // HTTP 302 to /cgi-bin/redirected; not issued
	Huge                   // an endless body; not issued
	EmptyToken             // success with an empty token or ticket; not issued
	TruncatedJSON          // issued, answer cut in the middle
	NoExpires              // issued, answer without expires_in
	ZeroExpires            // issued, expires_in 0
	ShortExpires           // issued, expires_in 9
	Raw                    // Answer.Status and Answer.Body as they are; not issued
)

// Answer says how to answer a request. The zero Answer is the normal one.
type Answer struct {
	// Errcode refuses the request without processing it; 0 means no refusal.
	Errcode int
	// Errmsg is the text of Errcode. Empty means WeChat's own, with a rid.
	Errmsg string
	// Delay is before processing, DelayAfter between processing and the answer. Both
	// end when the client disconnects. If it does so during Delay, the request is
	// not processed.
	Delay, DelayAfter time.Duration
	// Late processes the request after Delay even if the client has disconnected, like
	// a request that was delayed in the network.
	Late bool
	// Kind is how the answer fails; zero means that it does not.
	Kind Kind
	// Status and Body are for Raw. A zero Status means 200.
	Status int
	Body   string
}

// processed reports whether the request is processed before the answer fails.
func (k Kind) processed() bool {
	switch k {
	case Hang, Reset, ServerError, HTML, Redirect, Huge, EmptyToken, Raw:
		return false
	case Normal, IssuedHang, IssuedNoAnswer, IssuedServerError, TruncatedJSON, NoExpires, ZeroExpires, ShortExpires:
	}
	return true
}

// OnRequest sets the hook that decides how each request for a credential is answered.
// The hook is called before processing, without a lock, and can call the server. Nil
// means normal answers.
func (s *Server) OnRequest(hook func(Request) Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = hook
}

// arrive counts a request and returns how to answer it.
func (s *Server) arrive(appID, api string, force bool) Answer {
	s.mu.Lock()
	s.requests[requestKind{appID, api}]++
	s.arrived++
	request := Request{AppID: appID, API: api, N: s.arrived, Force: force}
	hook, failing := s.hook, s.failing
	s.mu.Unlock()

	var answer Answer
	if hook != nil {
		answer = hook(request)
	}
	if answer == (Answer{}) {
		answer.Errcode = failing
	}
	return answer
}
