package wechattest

import "net/http"

// verifies is the User-Agent of a request that verifies an AppSecret. WeChat does not tell
// it from any other request to stable_token. The fake does, so that tests can count the
// requests of renewals.
const verifies = "wxsidecar/verify"

// serveVerification is stable_token for a request that verifies an AppSecret.
func (s *Server) serveVerification(w http.ResponseWriter, r *http.Request, request credentialRequest) {
	s.mu.Lock()
	s.verified++
	n, hook, failing := s.verified, s.verifyHook, s.failing
	s.mu.Unlock()
	var answer Answer
	if hook != nil {
		answer = hook(request.AppID, n)
	}
	if answer == (Answer{}) {
		answer.Errcode = failing
	}
	switch {
	case !wait(r.Context(), answer.Delay):
	case answer.Errcode != 0:
		s.writeErrcode(w, answer.Errcode, answer.Errmsg)
	case answer.Kind != Normal:
		s.answer(w, r, answer, result{})
	default:
		s.answer(w, r, answer, s.verify(request))
	}
}

// verify is process for a request that verifies an AppSecret.
func (s *Server) verify(request credentialRequest) result {
	s.mu.Lock()
	defer s.mu.Unlock()
	if code := s.check(request); code != 0 {
		return result{errcode: code}
	}
	now := s.now()
	tok, _, code := s.fetch(s.accounts[request.AppID], request.api, request.Force, now)
	if code != 0 {
		return result{errcode: code}
	}
	return result{value: tok.value, seconds: int(tok.expires.Sub(now).Seconds())}
}

// OnVerification sets the hook that decides how each request that verifies an AppSecret is
// answered. n is its number on this server, from 1. The hook is called without a lock. Its
// kind can be that of [Server.OnCheck]. Nil means normal answers.
func (s *Server) OnVerification(hook func(appID string, n int) Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.verifyHook = hook
}

// Verifications returns the number of requests that verified an AppSecret. Neither
// [Server.Requests] nor [Server.Issued] has them.
func (s *Server) Verifications() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.verified
}
