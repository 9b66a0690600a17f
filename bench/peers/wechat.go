package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// The account of all contestants, in a WeChat of its own for each fleet.
const (
	appID = "wx0123456789abcdef"
	// Of a fake WeChat; no run prints it.
	appSecret = "canarysecret0123456789abcdef0123"
)

// WeChat's own figures, which hold wherever nothing else is said.
const (
	life  = 7200 * time.Second
	grace = 300 * time.Second
	// delay is what a credential call takes: half of it before WeChat issues the
	// token, half until the answer is back.
	delay = 80 * time.Millisecond
)

// weChat is a fake WeChat over https whose clock can be put forward.
type weChat struct {
	*wechattest.Server
	url, address string
	roots        string // a file: whom to trust
	certificate  []byte
	stop         func()

	ahead atomic.Int64 // of the real clock, in ns

	mu   sync.Mutex // guards book
	book []int      // calls, a page for each situation and for what is between two
}

func newWeChat(dir string) (*weChat, error) {
	w := &weChat{Server: wechattest.New(), roots: filepath.Join(dir, "roots.pem")}
	w.open()
	w.AddAccount(appID, appSecret)
	// A day's 2,000 calls are soon gone here. A contestant that was refused for that
	// would look better than it is: fewer calls, and errors for dead tokens.
	w.SetDailyQuota(1_000_000)
	w.SetMinuteQuota(1_000_000)
	w.SetNow(func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) })
	w.OnCall(func(wechattest.Call) wechattest.Answer {
		w.mu.Lock()
		w.book[len(w.book)-1]++
		w.mu.Unlock()
		return wechattest.Answer{Delay: delay / 2, DelayAfter: delay / 2}
	})
	var err error
	if w.url, w.certificate, w.stop, err = w.ListenTLS(); err != nil {
		return nil, err
	}
	w.address = strings.TrimPrefix(w.url, "https://")
	return w, os.WriteFile(w.roots, w.certificate, 0o600)
}

// open opens a new page of the book: calls from now on are counted on it.
func (w *weChat) open() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.book = append(w.book, 0)
}

// page is the calls on the page that is open.
func (w *weChat) page() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.book[len(w.book)-1]
}

// pass puts WeChat's clock forward.
func (w *weChat) pass(d time.Duration) { w.ahead.Add(int64(d)) }

// reject makes WeChat refuse the token that it issued last, as it does when
// somebody else who knows the AppSecret fetches: twice with the classic API, whose
// last token but one works on; once by force with stable_token.
func (w *weChat) reject(ctx context.Context, api string) error {
	if api == classicAPI {
		w.Steal(appID)
		w.Steal(appID)
		return nil
	}
	w.open() // this call is nobody's
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(w.certificate)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	body := fmt.Sprintf(`{"grant_type":"client_credential","appid":%q,"secret":%q,"force_refresh":true}`, appID, appSecret)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+"/cgi-bin/stable_token", bytes.NewBufferString(body))
	if err != nil {
		return errors.New("no request")
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return errors.New("the fake WeChat does not answer")
	}
	return resp.Body.Close()
}
