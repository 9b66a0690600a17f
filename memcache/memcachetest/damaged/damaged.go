// Package damaged has the values that no reader may take for a credential. It is one
// table for package memcache, the clients in Go and PHP, and the README's PHP.
package damaged

import (
	_ "embed"
	"encoding/json"
	"strings"
	"testing"
)

// Value is a value in memcached that is no credential.
type Value struct {
	Name  string
	Text  string `json:"value"`
	Flags int

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
