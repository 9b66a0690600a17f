// Package login exchanges the codes of users: that of wx.login in a mini program for the
// user's openid and session_key, and that of a web page's authorization for their openid and
// tokens. WeChat demands the AppSecret for that, which apps do not have.
//
// # What it promises
//
//  1. A code works once, so it is sent once. Nothing repeats it: neither this package nor
//     net/http. A further host gets it only if nothing was sent to the one before.
//  2. The answer is WeChat's, and nothing of it is stored. No log line and no error contains
//     a code, a session_key, an openid, a unionid, a user's token or a URL.
//  3. errcode 40001 is about the AppSecret here. It never counts as a report of a token.
package login

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// Exchange sends a code, once, to WeChat or to an upstream sidecar. It returns WeChat's
// answer, a JSON object without an errcode. Every error is an *Error. It must be safe for
// concurrent use.
type Exchange func(context.Context, Request) (string, error)

// Request is a user's code.
type Request struct {
	// API is wechat.CodeToSession or wechat.OAuth.
	API wechat.API
	// AppID is the account.
	AppID string
	// Secret returns the account's AppSecret. An upstream sidecar does not need it.
	Secret func() (string, error)
	// Code is the user's code, which is a ValidCode.
	Code string
}

// Error is why there is no answer for a user. It contains no secret.
type Error struct {
	// Status is the HTTP status of the answer: 502 if WeChat refused or may have used the
	// code up, 503 if nothing was sent.
	Status int
	// Code is WeChat's errcode; -1 if there is none.
	Code int
	// Message is WeChat's errmsg with its rid, or what failed.
	Message string
	// Hint says what to do.
	Hint string
	// RetryAfter is when the same code can be sent again; 0 if it must not be.
	RetryAfter time.Duration
	// Spent says that no readable answer came, so that the code may be used up.
	Spent bool
}

// Error returns the message and the hint.
func (e *Error) Error() string { return e.Message + " (" + e.Hint + ")" }

// ByUser reports whether the errcode is about the user or their code, so that there is
// nothing for an operator to do.
func (e *Error) ByUser() bool { _, ok := byUser[e.Code]; return ok }

// byUser has the hints for errcodes that are about the user or their code. WeChat's pages
// have no others for the two APIs.
var byUser = map[int]string{
	40029: "the code is not valid: each works once, for 5 min, and for the AppID of its page or mini program alone; get another one",
	40163: "the code was used before: send each code once, and get another one",
	40226: "WeChat refuses to log this user in, because of a high risk",
	45011: "too many logins of this user in this minute: try again in the next one, with another code",
}

// Hints for exchanges without an errcode of WeChat's.
const (
	hintUnsent = "the code was not sent and can be sent again: check DNS, this machine's clock and CAs, and the network path (HTTPS_PROXY, network policy, WECHAT_BASE_URL)"
	hintLost   = "the code may be used up and is not sent again: get another one; if that repeats, check the path to WeChat (proxy, gateway, WECHAT_BASE_URL)"
	hintBusy   = "WeChat is busy: get another code and try again"
)

// unsentRetry is when a code that was not sent can be sent again.
const unsentRetry = time.Second

// maxCode is the longest code in bytes. Those of 2026 have 32 letters and digits.
const maxCode = 512

// ValidCode reports whether a text can be a code: 1 to 512 printable ASCII characters
// without spaces.
func ValidCode(text string) bool {
	return text != "" && len(text) <= maxCode && !strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' })
}

// WeChat returns the Exchange that sends codes to WeChat.
func WeChat(client *wechat.Client) Exchange {
	return func(ctx context.Context, r Request) (string, error) {
		secret, err := r.Secret()
		if err != nil { // it names the file
			return "", &Error{http.StatusServiceUnavailable, -1, "read AppSecret: " + err.Error(), hint.SecretFile.English, unsentRetry, false}
		}
		answer, err := client.Exchange(ctx, wechat.Request{API: r.API, AppID: r.AppID, Secret: secret, Code: r.Code})
		var failed *wechat.Error
		if errors.As(err, &failed) {
			return "", errorOf(failed)
		}
		return answer, nil
	}
}

// errorOf returns the Error for a request to WeChat that failed.
func errorOf(failed *wechat.Error) *Error {
	e := &Error{Status: http.StatusBadGateway, Code: failed.Code, Message: failed.Message, Hint: failed.Hint.English}
	switch {
	case failed.Unsent:
		e.Status, e.Hint, e.RetryAfter = http.StatusServiceUnavailable, hintUnsent, unsentRetry
	case failed.MayHaveIssued:
		e.Hint, e.Spent = hintLost, true
	case e.ByUser():
		e.Hint = byUser[e.Code]
	case failed.Code < 0 && failed.Class != wechat.Defect:
		e.Hint = hintBusy
	}
	return e
}
