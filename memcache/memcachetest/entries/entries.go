// Package entries has values of an entry, and says which of them are credentials. It
// is one table for package memcache, the clients in Go and PHP, and the README's PHP.
package entries

import (
	_ "embed"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// Value is a value of an entry.
type Value struct {
	Name  string
	Text  string `json:"value"`
	Flags int
	Valid bool // whether it is a credential

	Repeat int // how often Values repeats the Text of the table; 0 means once
}

//go:embed table.json
var table []byte

// Values returns the table.
func Values(t *testing.T) []Value {
	t.Helper()
	var values []Value
	if err := json.Unmarshal(table, &values); err != nil {
		t.Fatal(err)
	}
	for i, v := range values {
		values[i].Text = strings.Repeat(v.Text, max(v.Repeat, 1))
	}
	return values
}

var (
	credential = regexp.MustCompile(`\A[A-Za-z0-9._~+/=@!-]+\z`) // Go's regexp repeats at most 1,000 times
	appSecret  = regexp.MustCompile(`\A[A-Fa-f0-9]{32}\z`)
)

// Valid reports whether a value is a credential: flags 0, 16 to 2,048 characters that
// credentials have, and not 32 hexadecimal digits, which are an AppSecret.
func Valid(text string, flags int) bool {
	return flags == 0 && len(text) >= 16 && len(text) <= 2048 &&
		credential.MatchString(text) && !appSecret.MatchString(text)
}
