// Package jssdktest reads client/testdata/signatures.json: addresses of pages with their
// signatures, and texts that are none. It is one table for package jssdk, the API, the PHP
// client and the function to copy in the documentation.
package jssdktest

import (
	"encoding/json"
	"os"
	"testing"
)

// Table has the values that all signatures share, and the pages.
type Table struct {
	Ticket    string
	NonceStr  string
	Timestamp int64
	Pages     []Page
}

// Page is an address.
type Page struct {
	Name, URL         string
	Signed, Signature string
	Refused           bool // it is no address, and has no signature
}

// Read reads the table. path is relative to the test's folder.
func Read(tb testing.TB, path string) Table {
	tb.Helper()
	text, err := os.ReadFile(path) //nolint:gosec // the test's own path
	if err != nil {
		tb.Fatal(err)
	}
	var table Table
	if err := json.Unmarshal(text, &table); err != nil {
		tb.Fatal(err)
	}
	if len(table.Pages) == 0 {
		tb.Fatal("the table has no pages")
	}
	return table
}
