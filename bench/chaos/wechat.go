package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// host is WeChat's name. The pods' hosts file resolves it.
const host = "wechat.test"

const (
	// life and grace are those of this WeChat's tokens. A token is due half of life
	// after its issue. Then the 75 s of a claim, the jitter and a poll must pass before
	// it expires, or before the grace ends.
	life  = 240 * time.Second
	grace = 120 * time.Second
	// pollAtMost is the longest time until a sidecar polls: 15 s, and a second on a busy
	// machine.
	pollAtMost = 16 * time.Second
)

// answers decides how WeChat answers an account's next request. wrong says what is
// wrong with the answer; "" means nothing.
type answers func() (a wechattest.Answer, wrong string)

// weChat is wechattest over https, with faults.
type weChat struct {
	*wechattest.Server
	certificates map[string]*tls.Certificate
	authorities  []byte // what the sidecars trust, as PEM
	shown        atomic.Pointer[tls.Certificate]
	proxy        *proxy // the sidecars connect to it
	journal      *journal
	server       *httptest.Server

	mu       sync.Mutex // guards the fields below
	requests []*request
	answers  map[string]answers       // by account
	lives    map[string]time.Duration // of an account's next token alone
}

func newWeChat(j *journal) (w *weChat, err error) {
	w = &weChat{
		Server: wechattest.New(), journal: j,
		certificates: map[string]*tls.Certificate{}, answers: map[string]answers{}, lives: map[string]time.Duration{},
	}
	w.SetExpiresIn(life)
	w.SetGrace(grace)
	w.OnRequest(w.onRequest)
	for name, of := range map[string]struct {
		life    time.Duration
		host    string
		trusted bool
	}{
		"good": {time.Hour, host, true}, "expired": {-time.Minute, host, true},
		"misnamed": {time.Hour, "other." + host, true}, "untrusted": {time.Hour, host, false},
	} {
		certificate, text, err := wechattest.SelfSigned(of.life, of.host)
		if err != nil {
			return nil, err
		}
		w.certificates[name] = &certificate
		if of.trusted {
			w.authorities = append(w.authorities, text...)
		}
	}
	w.show("good")
	w.server = httptest.NewUnstartedServer(w.Server)
	w.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	w.server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return w.shown.Load(), nil
	}}
	w.server.StartTLS()
	w.proxy, err = newProxy("wechat", w.server.Listener.Addr().String())
	return w, err
}

// show sets which certificate WeChat shows.
func (w *weChat) show(certificate string) { w.shown.Store(w.certificates[certificate]) }

func (w *weChat) close() {
	w.proxy.Stop()
	w.server.CloseClientConnections()
	w.server.Close()
}

// url returns the sidecars' WECHAT_BASE_URL.
func (w *weChat) url() string {
	_, port, _ := net.SplitHostPort(w.proxy.Listen)
	return "https://" + net.JoinHostPort(host, port)
}

// onRequest notes each request and decides how it is answered.
func (w *weChat) onRequest(r wechattest.Request) (answer wechattest.Answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	noted := &request{at: w.journal.now(), account: r.AppID, api: r.API}
	w.requests = append(w.requests, noted)
	if next := w.answers[r.AppID]; next != nil {
		answer, noted.wrong = next()
	}
	of := life
	if own, ok := w.lives[r.AppID]; ok && noted.wrong == "" {
		of = own
		delete(w.lives, r.AppID)
	}
	if r.AppID == quotaAccount {
		of = quotaLife
	}
	w.SetExpiresIn(of) // requests of two accounts can overlap: the first lives are not exact
	return answer
}

// answer sets how WeChat answers an account from now on; nil means well.
func (w *weChat) answer(account string, a answers) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers[account] = a
}

// nextLife sets how long an account's next token lives, if nothing is wrong with the
// answer that has it.
func (w *weChat) nextLife(account string, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lives[account] = d
}

// allRequests returns all requests so far.
func (w *weChat) allRequests() []*request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.requests)
}

// healthy returns the last issue of an account's entry. It returns an error unless that
// is the last token of its API, valid and not overdue.
func (w *weChat) healthy(account, token string) (held wechattest.Issue, err error) {
	newest := map[string]string{}
	for _, i := range w.Issued() {
		if i.AppID == account {
			newest[i.API] = i.Token
		}
		if i.Token == token {
			held = i
		}
	}
	switch {
	case held.Token == "":
		err = fmt.Errorf("%s: no entry with a token of WeChat's", account)
	case w.Accepts(token) != 0:
		err = fmt.Errorf("%s: an invalid token", account)
	case newest[held.API] != token:
		err = fmt.Errorf("%s: not the last token that WeChat issued", account)
	case time.Since(held.At) > dueLatest(held.Expires.Sub(held.At)):
		err = fmt.Errorf("%s: a token that is overdue", account)
	}
	return held, err
}

// due returns the age at which a token of this life is due, before any jitter.
func due(of time.Duration) time.Duration {
	return min(3300*time.Second, max(of-295*time.Second, of/2))
}

// dueLatest returns the age at which a token is renewed, if all is healthy: after the
// jitter, and a second.
func dueLatest(of time.Duration) time.Duration { return due(of) + of/20 + time.Second }

// dueFirst returns the age before which no sidecar renews a token. Unplanned renewals,
// such as those of a start, are due sooner by up to 300 ms for each account, so that
// the accounts part.
func dueFirst(of time.Duration) time.Duration {
	const apart, margin = 300 * time.Millisecond, 2 * time.Second
	return due(of) - min(due(of)/2, (accounts+1)*apart) - margin
}
