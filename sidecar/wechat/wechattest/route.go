package wechattest

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// ServeHTTP routes as WeChat does.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/cgi-bin/token":
		s.serveClassic(w, r)
	case r.URL.Path == "/cgi-bin/stable_token":
		s.serveStable(w, r)
	case r.URL.Path == "/cgi-bin/ticket/getticket":
		s.serveTicket(w, r)
	case r.URL.Path == "/cgi-bin/openapi/quota/get":
		s.serveQuota(w, r)
	case r.URL.Path == "/cgi-bin/clear_quota/v2":
		s.serveClear(w, r)
	case r.URL.Path == sessionPath, r.URL.Path == oauthPath:
		s.serveLogin(w, r)
	case strings.HasPrefix(r.URL.Path, "/cgi-bin/"):
		s.serveAPI(w, r)
	default:
		http.NotFound(w, r)
	}
}

// credentialRequest is a request to one of the credential APIs.
type credentialRequest struct {
	GrantType string `json:"grant_type"`
	AppID     string `json:"appid"`
	Secret    string `json:"secret"`
	Force     bool   `json:"force_refresh"`

	// AppSecret is the Secret of clear_quota/v2.
	AppSecret string `json:"appsecret"`

	api       string
	token     string // for a ticket
	malformed int    // the errcode of an unreadable request
}

func (s *Server) serveClassic(w http.ResponseWriter, r *http.Request) {
	// net/http notices that a client disconnects only after the body was read.
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 64<<10))
	q := r.URL.Query()
	request := credentialRequest{GrantType: q.Get("grant_type"), AppID: q.Get("appid"), Secret: q.Get("secret"), api: classicAPI}
	if r.Method != http.MethodGet {
		request.malformed = 43001
	}
	s.serveCredential(w, r, request)
}

func (s *Server) serveStable(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	request := credentialRequest{api: stableAPI}
	if err != nil || json.Unmarshal(body, &request) != nil {
		request.malformed = 47001
	}
	if r.Method != http.MethodPost {
		request.malformed = 43002
	}
	if r.UserAgent() == verifies {
		s.serveVerification(w, r, request)
		return
	}
	s.serveCredential(w, r, request)
}

// check returns the errcode of a bad request, or 0. The lock is held.
func (s *Server) check(request credentialRequest) int {
	if request.malformed != 0 {
		return request.malformed
	}
	if ticketAPI(request.api) {
		return s.checkToken(request.token)
	}
	acc, known := s.accounts[request.AppID]
	switch {
	case request.GrantType != "client_credential":
		return 40002
	case request.AppID == "":
		return 41002
	case request.Secret == "":
		return 41004
	case !known:
		return 40013
	case request.Secret == acc.secret:
		return 0
	}
	for _, other := range s.accounts {
		if other.secret == request.Secret {
			return 40001 // the AppSecret of another account
		}
	}
	return 40125
}

// serveAPI answers every API that needs a token.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	code := s.checkToken(r.URL.Query().Get("access_token"))
	s.mu.Unlock()
	if code == 0 && r.URL.Path == "/cgi-bin/user/info" {
		// WeChat answers here without an errcode.
		writeJSON(w, map[string]any{"subscribe": 1, "openid": r.URL.Query().Get("openid"), "language": "zh_CN"})
		return
	}
	s.writeErrcode(w, code, "")
}

func (s *Server) writeErrcode(w http.ResponseWriter, code int, errmsg string) {
	if errmsg == "" {
		s.mu.Lock()
		now := s.now()
		s.mu.Unlock()
		errmsg = Errmsg(code, now)
	}
	writeJSON(w, map[string]any{"errcode": code, "errmsg": errmsg})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; encoding=utf-8")
	_ = json.NewEncoder(w).Encode(v)
}
