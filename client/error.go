package client

import (
	"fmt"
	"time"
)

// Error is what the sidecar answered instead of a credential.
type Error struct {
	// Code is WeChat's errcode where WeChat refused, such as 40164 (this IP is not
	// on the account's list); -1 where there is nothing valid to give just now;
	// else the HTTP status of a refusal by the sidecar itself: 401 wrong bearer
	// token, 403 not from here, 404 not kept, 429 no further renewal so soon.
	Code int
	// Message is the errmsg, WeChat's rid included, which its support asks for, and
	// in parentheses what to do about it.
	Message string
	// RetryAfter is how long to wait before asking again; 0 means that the
	// sidecar did not say.
	RetryAfter time.Duration
}

// Error says the code, the message and the wait.
func (e *Error) Error() string {
	if e.RetryAfter > 0 {
		return fmt.Sprintf("the sidecar answered %d: %s (ask again in %s)", e.Code, e.Message, e.RetryAfter)
	}
	return fmt.Sprintf("the sidecar answered %d: %s", e.Code, e.Message)
}
