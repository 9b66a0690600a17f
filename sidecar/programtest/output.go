package programtest

import (
	"bytes"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// Output is a program's output, readable while the program runs. The zero value is ready.
type Output struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// canaries are the planted words, here in two parts, because CI searches for them.
var canaries = []struct{ word, of string }{
	{"canary" + "secret", "an AppSecret or a password"},
	{"canary" + "token", "a token"},
}

var secret = regexp.MustCompile("canary" + "(secret|token)[A-Za-z0-9_-]*")

// Redact returns the text without the tests' secrets and tokens.
func Redact(text string) string { return secret.ReplaceAllString(text, "REDACTED") }

// AssertNoCanary asserts that text has neither a secret nor a token. It does not print
// the text. It reports the result.
func AssertNoCanary(t testing.TB, text string) bool { //nolint:thelper // the tests of this package give it a t of their own
	t.Helper()
	clean := true
	for _, canary := range canaries {
		if strings.Contains(text, canary.word) {
			t.Errorf("%s was printed", canary.of)
			clean = false
		}
	}
	return clean
}
