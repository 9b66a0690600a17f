package wechat

import (
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Credential is a token or ticket from WeChat. It shows no value, however it is printed.
type Credential struct {
	// Value is 1 to 2,048 bytes without control characters and spaces.
	Value string `json:"-"`
	// ExpiresIn is its lifetime from WeChat's answer on, in whole seconds: at least
	// 1 s, or 10 s for a new token of the classic API, and at most 24 h.
	ExpiresIn time.Duration
	// Date is the time of the answer on WeChat's clock, from the Date header; zero if
	// there was none.
	Date time.Time

	quota  Quota  // in an answer of quotaGet
	answer string // see Client.Exchange
}

// String returns the lifetime and the length.
func (c Credential) String() string {
	return fmt.Sprintf("credential of %d bytes for %s", len(c.Value), c.ExpiresIn)
}

// GoString is String, for %#v.
func (c Credential) GoString() string { return "wechat.Credential{" + c.String() + "}" }

// Format is for the verbs for which fmt does not call String, such as %d.
func (c Credential) Format(f fmt.State, verb rune) {
	if verb == 'v' && f.Flag('#') {
		_, _ = io.WriteString(f, c.GoString())
		return
	}
	_, _ = io.WriteString(f, c.String())
}

// LogValue returns the lifetime and the length.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }
