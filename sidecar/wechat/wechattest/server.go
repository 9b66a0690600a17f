package wechattest

import (
	"sync"
	"time"
)

// Server is a fake WeChat and an http.Handler, made by [New]. It is safe for concurrent
// use.
type Server struct {
	mu          sync.Mutex // guards everything below; never held while waiting
	now         func() time.Time
	accounts    map[string]*account
	tokens      map[string]*token
	tickets     map[string]*token
	issued      []Issue
	ticketsOut  []Issue
	lastTickets map[requestKind]*token // see SetSameTicket; nil: each request has a new one
	requests    map[requestKind]int
	arrived     int
	hook        func(Request) Answer
	checks      int                              // requests to openapi/quota/get
	checkHook   func(n int) Answer               // answers these
	verified    int                              // requests that verify an AppSecret
	verifyHook  func(appID string, n int) Answer // answers these
	logins      []Login                          // requests to exchange a user's code
	loginHook   func(Login, int) Answer          // answers these
	failing     int
	expiresIn   time.Duration
	grace       time.Duration
	tokenLength int
	dailyQuota  map[string]int
	minuteQuota int
}

// requestKind is the key of the request counts.
type requestKind struct{ appID, api string }

const (
	classicAPI = "token"
	stableAPI  = "stable_token"
	jsapiAPI   = "jsapi"
	wxCardAPI  = "wx_card"

	minTokenLength = 48 // for the mark and enough random bytes
)

// New returns a server without accounts, with WeChat's own limits.
func New() *Server {
	return &Server{
		now:         time.Now,
		accounts:    map[string]*account{},
		tokens:      map[string]*token{},
		tickets:     map[string]*token{},
		requests:    map[requestKind]int{},
		expiresIn:   7200 * time.Second,
		grace:       300 * time.Second,
		tokenLength: 136,
		dailyQuota:  map[string]int{classicAPI: 2000, stableAPI: 500_000},
		minuteQuota: 10_000,
	}
}

// SetNow sets the clock for expiry and quotas. It is called with a lock held, so it
// must not call the server. The default is time.Now.
func (s *Server) SetNow(now func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
}

// AddAccount adds an account. An existing account gets the AppSecret.
func (s *Server) AddAccount(appID, secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if acc, ok := s.accounts[appID]; ok {
		acc.secret = secret
		return
	}
	s.accounts[appID] = &account{appID: appID, secret: secret, quota: map[string]*quota{classicAPI: {}, stableAPI: {}}}
}

// SetSecret changes an account's AppSecret. Its tokens stay valid.
func (s *Server) SetSecret(appID, secret string) { s.AddAccount(appID, secret) }

// SetExpiresIn sets the lifetime of tokens and tickets issued from now on. The default
// is 7200 s.
func (s *Server) SetExpiresIn(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expiresIn = d
}

// SetGrace sets how long the previous classic token works, and the remaining lifetime
// at which a stable token is replaced. The default is 300 s. Set it together with a
// short lifetime: if both are equal, stable_token issues a new token at every request.
func (s *Server) SetGrace(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grace = d
}

// SetTokenLength sets the length of tokens issued from now on, in bytes: at least 48.
// The default is 136.
func (s *Server) SetTokenLength(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokenLength = max(n, minTokenLength)
}

// SetDailyQuota sets how many requests a day each API answers for each account. Any
// further request is refused with 45009. The default is 2,000 for token and 500,000 for
// stable_token.
func (s *Server) SetDailyQuota(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dailyQuota[classicAPI], s.dailyQuota[stableAPI] = n, n
}

// SetMinuteQuota sets how many requests a minute stable_token answers for each account.
// Any further request is refused with 45011. The default is 10,000.
func (s *Server) SetMinuteQuota(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.minuteQuota = n
}

// FailAll refuses every request for a credential with this errcode until [Server.Heal].
// An answer of [Server.OnRequest]'s hook has priority.
func (s *Server) FailAll(errcode int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = errcode
}

// Heal ends [Server.FailAll].
func (s *Server) Heal() { s.FailAll(0) }
