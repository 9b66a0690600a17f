package client

import (
	"fmt"
	"time"
)

// Error is a refusal by the sidecar.
type Error struct {
	// Code is WeChat's errcode if WeChat refused, such as 40164 (this IP is not on the
	// account's whitelist). It is -1 if there is no valid credential at the moment. Else
	// it is the HTTP status of the sidecar's own refusal: 401 wrong bearer token, 403
	// not allowed, 404 ticket or login not configured, 429 too early for another renewal.
	Code int
	// Message is the errmsg with WeChat's rid, which its support needs, and in
	// parentheses what to do.
	Message string
	// RetryAfter is how long to wait before the next request; 0 means that the sidecar
	// did not say.
	RetryAfter time.Duration

	unauthorized bool // HTTP 401: nothing was done. An errcode of WeChat's could be 401 too
}

// Error returns the code, the message and the wait.
func (e *Error) Error() string {
	if e.RetryAfter > 0 {
		return fmt.Sprintf("the sidecar answered %d: %s; retry after %s", e.Code, e.Message, e.RetryAfter)
	}
	return fmt.Sprintf("the sidecar answered %d: %s", e.Code, e.Message)
}
