package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
)

// busyCode is WeChat's own code for "try again": SDKs know it.
const busyCode = -1

// refusal is an answer without a credential. It holds no secret.
type refusal struct {
	status     int
	code       int
	message    string
	hint       string        // may be empty
	retryAfter time.Duration // 0: unknown
	allow      string        // the method allowed, for 405
	spent      bool          // the user's code may be used up
}

// refuse returns a refusal of this program, not of WeChat. Its errcode is the status.
func refuse(status int, message, remedy string) *refusal {
	return &refusal{status: status, code: status, message: message, hint: remedy}
}

func tooMany() *refusal {
	return &refusal{status: http.StatusServiceUnavailable, code: busyCode, message: "too many open requests", retryAfter: time.Second}
}

// refusalOf returns the answer to the keeper's error.
func refusalOf(err error) *refusal {
	var e *keeper.Error
	if !errors.As(err, &e) {
		return refuse(http.StatusInternalServerError, "internal error of wxsidecar", hint.Fault.English)
	}
	refused := &refusal{code: e.Code, message: e.Message, hint: e.Hint.String(), retryAfter: e.RetryAfter}
	switch e.Reason {
	case keeper.NotConfigured:
		refused.status = http.StatusNotFound
	case keeper.Refused:
		refused.status = http.StatusBadGateway
	case keeper.ReadOnly:
		refused.status = http.StatusForbidden
	case keeper.Budget:
		refused.status = http.StatusTooManyRequests
		refused.code = http.StatusTooManyRequests
		refused.retryAfter = max(refused.retryAfter, time.Second)
	case keeper.Unavailable:
		refused.status = http.StatusServiceUnavailable
		if e.Code > 0 { // WeChat's, and transient
			refused.message = fmt.Sprintf("errcode %d: %s", e.Code, e.Message)
		}
		refused.code = busyCode
		refused.retryAfter = max(refused.retryAfter, time.Second)
	}
	return refused
}

// write answers with the refusal.
func (e *refusal) write(w http.ResponseWriter) {
	h := w.Header()
	setHeaders(h)
	if e.retryAfter > 0 {
		seconds := (e.retryAfter + time.Second - 1) / time.Second
		h.Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	if e.allow != "" {
		h.Set("Allow", e.allow)
	}
	if e.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="wxsidecar"`)
	}
	w.WriteHeader(e.status)
	_, _ = w.Write(e.body()) //nolint:gosec // JSON, with its Content-Type; if it fails, nobody reads
}

func (e *refusal) body() []byte {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // people read it
	_ = encoder.Encode(struct {
		Code    int    `json:"errcode"`
		Message string `json:"errmsg"`
		Hint    string `json:"hint,omitempty"`
	}{e.code, e.message, e.hint}) // it cannot fail
	return text.Bytes()
}
