package wechattest

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// checkPath returns WeChat's errcode for a cgi_path, or 0.
func (s *Server) checkPath(path string) int {
	switch {
	case !strings.HasPrefix(path, "/"): // such as a whole URL
		return 76003
	case strings.Contains(path, "/sns/"):
		return 76022
	case s.dailyQuota[apiOf(path)] == 0:
		return 76021
	}
	return 0
}

// apiOf returns the API of a cgi_path.
func apiOf(path string) string { return strings.TrimPrefix(path, "/cgi-bin/") }

// serveQuota is openapi/quota/get: how often an API was requested today. It shows too
// whether WeChat accepts a token.
func (s *Server) serveQuota(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	var request struct {
		Path string `json:"cgi_path"`
	}
	malformed := 0
	switch {
	case r.Method != http.MethodPost:
		malformed = 43002
	case err != nil || json.Unmarshal(body, &request) != nil:
		malformed = 47001
	}
	s.mu.Lock()
	s.checks++
	n, hook := s.checks, s.checkHook
	s.mu.Unlock()
	var answer Answer
	if hook != nil {
		answer = hook(n)
	}
	switch {
	case !wait(r.Context(), answer.Delay):
	case answer.Errcode != 0:
		s.writeErrcode(w, answer.Errcode, answer.Errmsg)
	case answer.Kind != Normal:
		s.answer(w, r, answer, result{})
	case malformed != 0:
		s.writeErrcode(w, malformed, "")
	default:
		s.answerQuota(w, r.URL.Query().Get("access_token"), request.Path)
	}
}

func (s *Server) answerQuota(w http.ResponseWriter, token, path string) {
	s.mu.Lock()
	limit, used := s.dailyQuota[apiOf(path)], 0
	code := s.checkToken(token)
	if code == 0 {
		code = s.checkPath(path)
	}
	if code == 0 {
		q := s.accounts[s.tokens[token].appID].quota[apiOf(path)]
		q.at(s.now())
		used = q.requestsToday
	}
	s.mu.Unlock()
	if code != 0 {
		s.writeErrcode(w, code, "")
		return
	}
	writeJSON(w, map[string]any{
		"errcode": 0, "errmsg": "ok",
		"quota":      map[string]int{"daily_limit": limit, "used": used, "remain": limit - used},
		"rate_limit": map[string]int{"call_count": limit, "refresh_second": 60},
	})
}

// OnCheck sets the hook that decides how each request to openapi/quota/get is answered. n
// is its number on this server, from 1. The hook is called without a lock. Only a Raw
// answer, Hang, Reset, ServerError and HTML can be its kind. Nil means normal answers.
func (s *Server) OnCheck(hook func(n int) Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checkHook = hook
}

// Checks returns the number of requests to openapi/quota/get. [Server.Requests] does not
// count them.
func (s *Server) Checks() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.checks
}
