package wechat

import (
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Credential is a token or ticket as WeChat gave it. However it is printed, it
// does not show it.
type Credential struct {
	// Value is 1 to 2,048 bytes without control characters and spaces.
	Value string `json:"-"`
	// ExpiresIn is its life from the moment of WeChat's answer: whole seconds, at
	// least 10 s, at most 24 h.
	ExpiresIn time.Duration
	// Date is WeChat's clock when it answered, by the Date header of HTTP; zero if there
	// was none.
	Date time.Time
}

// String shows the life and the length.
func (c Credential) String() string {
	return fmt.Sprintf("credential of %d bytes for %s", len(c.Value), c.ExpiresIn)
}

// GoString is String, for %#v.
func (c Credential) GoString() string { return "wechat.Credential{" + c.String() + "}" }

// Format covers the verbs for which fmt would not ask String, such as %d.
func (c Credential) Format(f fmt.State, verb rune) {
	if verb == 'v' && f.Flag('#') {
		_, _ = io.WriteString(f, c.GoString())
		return
	}
	_, _ = io.WriteString(f, c.String())
}

// LogValue shows the life and the length.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }
