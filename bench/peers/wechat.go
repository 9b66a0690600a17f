package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// The account of all contestants, at a fake WeChat.
const (
	appID     = "wx0123456789abcdef"
	appSecret = "canarysecret0123456789abcdef0123"
)

const (
	life  = 7200 * time.Second // of a token
	grace = 300 * time.Second  // of the previous token
	// delay is how long a credential request takes: half of it before WeChat issues
	// the token, half until the answer is back.
	delay = 80 * time.Millisecond
)

// weChat is a fake WeChat over https whose clock can advance.
type weChat struct {
	*wechattest.Server
	url, address string
	roots        string // a file with its certificate
	stop         func()

	ahead atomic.Int64 // of the real clock, in ns

	mu     sync.Mutex // guards counts
	counts []int      // of requests, one for each situation and for the time between two
}

func newWeChat(dir string) (*weChat, error) {
	w := &weChat{Server: wechattest.New(), roots: filepath.Join(dir, "roots.pem")}
	w.startCount()
	w.AddAccount(appID, appSecret)
	// A day's 2,000 requests are soon used up here. A refused contestant would look
	// better than it is: fewer requests, and errors instead of invalid tokens.
	w.SetDailyQuota(1_000_000)
	w.SetMinuteQuota(1_000_000)
	w.SetNow(func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) })
	w.OnRequest(func(wechattest.Request) wechattest.Answer {
		w.mu.Lock()
		w.counts[len(w.counts)-1]++
		w.mu.Unlock()
		return wechattest.Answer{Delay: delay / 2, DelayAfter: delay / 2}
	})
	url, certificate, stop, err := w.ListenTLS()
	if err != nil {
		return nil, err
	}
	w.url, w.stop = url, stop
	w.address = strings.TrimPrefix(url, "https://")
	return w, os.WriteFile(w.roots, certificate, 0o600)
}

// startCount starts a new count of requests.
func (w *weChat) startCount() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts = append(w.counts, 0)
}

// lastCount returns the requests since startCount.
func (w *weChat) lastCount() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts[len(w.counts)-1]
}

// advance advances WeChat's clock.
func (w *weChat) advance(d time.Duration) { w.ahead.Add(int64(d)) }

// reject makes WeChat refuse the token that it issued last, as after an external
// fetch: twice with the classic API, whose previous token has a grace period; once by
// force with stable_token.
func (w *weChat) reject(ctx context.Context, api string) error {
	if api == classicAPI {
		w.FetchExternally(appID)
		w.FetchExternally(appID)
		return nil
	}
	w.startCount() // this request belongs to no contestant
	body := fmt.Sprintf(`{"grant_type":"client_credential","appid":%q,"secret":%q,"force_refresh":true}`, appID, appSecret)
	answer := httptest.NewRecorder()
	w.ServeHTTP(answer, httptest.NewRequestWithContext(ctx, http.MethodPost, "/cgi-bin/stable_token", strings.NewReader(body)))
	if !strings.Contains(answer.Body.String(), "access_token") {
		return errors.New("the fake WeChat refused the external fetch")
	}
	return nil
}
