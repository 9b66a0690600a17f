package web

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/login"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// maxLogins bounds the open logins. They do not count as requests for credentials, so
// neither keeps the other out.
const maxLogins = 64

// loginsEvery is the time between two lines about failed logins.
const loginsEvery = time.Minute

// logins exchanges users' codes.
type logins struct {
	exchange login.Exchange // nil: the routes are off
	log      *slog.Logger
	open     atomic.Int64

	mu     sync.Mutex // guards logged
	logged time.Time  // the last line about a failure
}

// codeRoute is a route that exchanges a code.
type codeRoute struct {
	api   wechat.API
	field string // that has the code
	want  string // what to send
}

// codes are the routes that exchange a code, by their action.
var codes = map[string]codeRoute{
	loginAction: {wechat.CodeToSession, "js_code", `send {"js_code":"<the code of wx.login, unchanged>"}`},
	oauthAction: {wechat.OAuth, "code", `send {"code":"<the code in the address that WeChat redirected to, unchanged>"}`},
}

func loginsOff() *refusal {
	return refuse(http.StatusNotFound, "logins are off", "set SIDECAR_LOGIN=true for the sidecar")
}

// serveLogin answers with WeChat's answer for a user.
func (a *api) serveLogin(w http.ResponseWriter, r *http.Request, appID string, to codeRoute) *refusal {
	code, refused := fieldOf(w, r, to.field, to.want)
	if refused != nil {
		return refused
	}
	if !login.ValidCode(code) {
		return refuse(http.StatusBadRequest, to.field+" is not a possible code", to.want)
	}
	return a.relay(w, r, login.Request{API: to.api, AppID: appID, Code: code})
}

// relay exchanges a code, and answers with WeChat's answer.
func (a *api) relay(w http.ResponseWriter, r *http.Request, code login.Request) *refusal {
	var err error
	if code.Secret, err = a.group.Secret(code.AppID); err != nil {
		return refusalOf(err)
	}
	answer, err := a.logins.do(r.Context(), code)
	var failed *login.Error
	switch {
	case errors.As(err, &failed):
		return &refusal{status: failed.Status, code: failed.Code, message: failed.Message, hint: failed.Hint, retryAfter: failed.RetryAfter, spent: failed.Spent}
	case err != nil:
		return refuse(http.StatusInternalServerError, "internal error of wxsidecar", hint.Fault.English)
	}
	a.metrics.login.Inc()
	setHeaders(w.Header())
	_, _ = io.WriteString(w, answer) // if it fails, nobody reads
	return nil
}

// do exchanges a code within the time that callers wait.
func (l *logins) do(ctx context.Context, code login.Request) (string, error) {
	defer l.open.Add(-1)
	if l.open.Add(1) > maxLogins {
		return "", &login.Error{
			Status: http.StatusServiceUnavailable, Code: busyCode, Message: "too many open logins",
			Hint: "the code was not sent and can be sent again", RetryAfter: time.Second,
		}
	}
	limited, cancel := context.WithTimeout(ctx, keeper.MaxWait)
	defer cancel()
	answer, err := l.exchange(limited, code)
	var failed *login.Error
	if errors.As(err, &failed) && ctx.Err() == nil && !failed.ByUser() {
		l.note(code.AppID, failed)
	}
	return answer, err
}

// note logs a failure that is not the user's, once a minute.
func (l *logins) note(appID string, failed *login.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.logged) >= loginsEvery {
		l.logged = now
		l.log.Warn("login failed", "appid", appID, "errcode", failed.Code, "errmsg", failed.Message, "hint", failed.Hint)
	}
}
