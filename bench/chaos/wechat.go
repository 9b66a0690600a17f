package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// Times of this WeChat. Half of life after its issue a token is due; then the
// 75 s of a claim, the jitter and a poll must pass before it expires, or before the
// grace ends.
const (
	life  = 240 * time.Second
	grace = 120 * time.Second
)

// answers is how WeChat answers the n-th call, from 1, for an account; name tells
// it to people, empty where nothing is wrong with it.
type answers func(n int) (a wechattest.Answer, name words)

// weChat is wechattest over https, with what can go wrong there.
type weChat struct {
	*wechattest.Server
	certificates
	shown   atomic.Pointer[tls.Certificate]
	way     *proxy // what the sidecars dial
	journal *journal
	close   func()

	mu    sync.Mutex // guards what follows
	calls []call
	ill   map[string]*illness
	lives map[string]time.Duration // of the next token alone
	held  map[string]string        // the AppSecret of each account
}

// illness is answers that have begun.
type illness struct {
	answers
	n     int
	began time.Duration // the first call that met them
}

// call is one call for a token.
type call struct {
	at       time.Duration
	account  string
	api      string
	answered words // how it went wrong; empty: not at all, as far as WeChat knows
	forced   bool
}

func newWeChat(ctx context.Context, j *journal) (*weChat, error) {
	w := &weChat{
		Server: wechattest.New(), journal: j, ill: map[string]*illness{}, lives: map[string]time.Duration{}, held: map[string]string{},
	}
	w.SetExpiresIn(life)
	w.SetGrace(grace)
	w.OnCall(w.onCall)
	var err error
	if w.certificates, err = newCertificates(); err != nil {
		return nil, err
	}
	w.shown.Store(w.good)
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return w.shown.Load(), nil
	}}
	server := &http.Server{Handler: w.Server, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(tls.NewListener(listener, config)) })
	if w.way, err = newProxy("wechat", listener.Addr().String()); err != nil {
		_ = server.Close()
		return nil, err
	}
	w.close = func() {
		w.way.Stop()
		_ = server.Close()
		serving.Wait()
	}
	return w, nil
}

// url is where the sidecars look for WeChat.
func (w *weChat) url() string {
	_, port, _ := net.SplitHostPort(w.way.Listen)
	return "https://" + net.JoinHostPort(host, port)
}

// onCall notes each call and says how it is answered.
func (w *weChat) onCall(c wechattest.Call) wechattest.Answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	noted := call{at: w.journal.now(), account: c.AppID, api: c.API, forced: c.Force}
	var answer wechattest.Answer
	if i := w.ill[c.AppID]; i != nil {
		i.n++
		answer, noted.answered = i.answers(i.n)
		if i.n == 1 {
			i.began = noted.at
		}
	}
	w.calls = append(w.calls, noted)
	of := life
	if own, ok := w.lives[c.AppID]; ok && noted.answered == (words{}) {
		of = own
		delete(w.lives, c.AppID)
	}
	if c.AppID == quota {
		of = quotaLife // whatever its API
	}
	w.SetExpiresIn(of) // a call of another account may come between: the lives of a start are not exact
	return answer
}

// sicken answers calls for an account wrongly until heal.
func (w *weChat) sicken(account string, a answers) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ill[account] = &illness{answers: a}
}

func (w *weChat) heal(account string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.ill, account)
}

// met is when the first call met what sicken brought; false: none has yet.
func (w *weChat) met(account string) (time.Duration, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := w.ill[account]
	if i == nil || i.n == 0 {
		return 0, false
	}
	return i.began, true
}

// lasts says how long the next token of an account alone lives, of a call that is
// answered well.
func (w *weChat) lasts(account string, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lives[account] = d
}

// made is all calls so far.
func (w *weChat) made() []call {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]call(nil), w.calls...)
}

// newest is what the API of a token that somebody holds issued last for an account,
// and when that token itself was given out last.
func (w *weChat) newest(account, token string) (last, held wechattest.Issue, err error) {
	newest := map[string]wechattest.Issue{}
	for _, i := range w.Issued() {
		if i.AppID != account {
			continue
		}
		newest[i.API] = i
		if i.Token == token {
			held = i
		}
	}
	if held.Token == "" {
		return last, held, errors.New("an unknown token")
	}
	return newest[held.API], held, nil
}

// sick is why the entry of an account is not as it should be; nil where it is the
// last token of its API, alive and not overdue.
func (w *weChat) sick(account, token string) error {
	last, held, err := w.newest(account, token)
	switch {
	case token == "":
		return fmt.Errorf("%s has no entry", account)
	case err != nil:
		return fmt.Errorf("%s: %w", account, err)
	case w.Accepts(token) != 0:
		return fmt.Errorf("%s: a dead token", account)
	case last.Token != held.Token:
		return fmt.Errorf("%s: not the last token that WeChat issued", account)
	case time.Since(held.At) > dueLatest(held.Dies.Sub(held.At)):
		return fmt.Errorf("%s: a token that is overdue", account)
	}
	return nil
}

// outdated is why what a sidecar remembers of an account, a fingerprint, is not as
// it should be; nil where it is the entry, or where the entry's token is younger
// than a look.
func (w *weChat) outdated(account, entry, remembered string, now time.Time) error {
	if remembered != "" && remembered == memcache.Fingerprint(entry) {
		return nil
	}
	_, held, err := w.newest(account, entry)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", account, err)
	case remembered == "":
		return fmt.Errorf("%s: no token is remembered", account)
	case now.Sub(held.At) > lookAtMost:
		return fmt.Errorf("%s: another token than that of the entry is remembered", account)
	}
	return nil
}

// due is the age at which a token of this life is due, before any jitter.
func due(of time.Duration) time.Duration {
	return min(3300*time.Second, max(of-295*time.Second, of/2))
}

// dueLatest is the age at which somebody has renewed it, if nothing is wrong: after
// the jitter, and a second.
func dueLatest(of time.Duration) time.Duration { return due(of) + of/20 + time.Second }

// dueFirst is the age at which nobody renews it yet: what was fetched out of its
// time, as all are that start together, is due sooner by up to 300 ms for each
// account, so that they part.
func dueFirst(of time.Duration) time.Duration {
	const apart, round = 300 * time.Millisecond, 2 * time.Second
	return due(of) - min(due(of)/2, (accounts+1)*apart) - round
}
