package wechattest

import (
	"io"
	"net/http"
	"slices"
	"strings"
)

const (
	sessionPath = "/sns/jscode2session"
	oauthPath   = "/sns/oauth2/access_token"
)

// What a login returns, beside a user's openid.
const (
	SessionKey   = "canarytoken+session/key=="
	UnionID      = "canarytoken-unionid"
	UserToken    = "canarytoken-of-the-user"
	RefreshToken = "canarytoken-refreshes-the-user" //nolint:gosec // no credential: the fake's
)

// OpenID returns the openid of the user with this code.
func OpenID(code string) string { return "canarytoken-openid-" + code }

// Login is a request that exchanges a user's code.
type Login struct {
	AppID, Code string
	OAuth       bool // of a web page, not of a mini program
}

// serveLogin exchanges a user's code.
func (s *Server) serveLogin(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 64<<10)) // as in serveClassic
	q := r.URL.Query()
	login := Login{AppID: q.Get("appid"), Code: q.Get("js_code"), OAuth: r.URL.Path == oauthPath}
	if login.OAuth {
		login.Code = q.Get("code")
	}
	s.mu.Lock()
	used := slices.Contains(s.logins, login)
	s.logins = append(s.logins, login)
	code := s.checkLogin(login, used, r.Method, q.Get("grant_type"), q.Get("secret"))
	n, hook := len(s.logins), s.loginHook
	s.mu.Unlock()
	var answer Answer
	if hook != nil {
		answer = hook(login, n)
	}
	switch {
	case !wait(r.Context(), answer.Delay):
	case answer.Errcode != 0:
		s.writeErrcode(w, answer.Errcode, answer.Errmsg)
	case answer.Kind != Normal:
		s.answer(w, r, answer, result{})
	case code != 0:
		s.writeErrcode(w, code, "")
	case login.OAuth:
		writeJSON(w, map[string]any{
			"access_token": UserToken, "expires_in": 7200, "refresh_token": RefreshToken,
			"openid": OpenID(login.Code), "scope": "snsapi_userinfo", "unionid": UnionID, "is_snapshotuser": 1,
		})
	default:
		writeJSON(w, map[string]any{"openid": OpenID(login.Code), "session_key": SessionKey, "unionid": UnionID})
	}
}

// checkLogin returns the errcode of a login, or 0. The lock is held.
func (s *Server) checkLogin(login Login, used bool, method, grantType, secret string) int {
	request := credentialRequest{AppID: login.AppID, Secret: secret}
	if method != http.MethodGet {
		request.malformed = 43001
	}
	if grantType == "authorization_code" {
		request.GrantType = "client_credential" // the one that check demands
	}
	if code := s.check(request); code != 0 {
		return code
	}
	switch {
	case login.Code == "":
		return 41008
	case strings.Contains(login.Code, "invalid"):
		return 40029
	case used:
		return 40163
	}
	return 0
}

// OnLogin sets the hook that decides how each request to exchange a code is answered. n is
// its number on this server, from 1. The hook is called without a lock. Its kind can be that
// of [Server.OnCheck]. Nil means normal answers.
func (s *Server) OnLogin(hook func(login Login, n int) Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loginHook = hook
}

// Logins returns all requests to exchange a code, in their order. [Server.Requests] does not
// count them.
func (s *Server) Logins() []Login {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.logins)
}
