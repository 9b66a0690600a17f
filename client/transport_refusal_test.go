package client_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// refusal is a row of testdata/refusals.json, which tests the PHP client too.
type refusal struct {
	Name        string
	ContentType string `json:"content_type"`
	Base64      []byte
	Refused     bool
}

func readRefusals(tb testing.TB) []refusal {
	tb.Helper()
	table, err := os.ReadFile("testdata/refusals.json")
	require.NoError(tb, err)
	var rows []refusal
	require.NoError(tb, json.Unmarshal(table, &rows))
	require.Greater(tb, len(rows), 40)
	return rows
}

// A refusal is found in any form in which WeChat sends it, and nothing else is one.
func TestHTTPClient_Refusals(t *testing.T) {
	pieces := map[string]func(io.Reader) io.Reader{
		"whole":         func(r io.Reader) io.Reader { return r },
		"byte for byte": iotest.OneByteReader,
		"with its end":  iotest.DataErrReader,
	}
	for _, row := range readRefusals(t) {
		t.Run(row.Name, func(t *testing.T) {
			for piece, cut := range pieces {
				f := setup(t)
				hc := f.HTTPClient(&http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
					return &http.Response{
						StatusCode: 200, Header: http.Header{"Content-Type": {row.ContentType}},
						Body: io.NopCloser(cut(bytes.NewReader(row.Base64))),
					}, nil
				})})
				resp, err := hc.Get(api + "/cgi-bin/x")
				assert.Equal(t, string(row.Base64), read(t, resp, err), "another body arrived, %s", piece)
				assert.Equal(t, row.Refused, len(f.sidecar.reports()) == 1, piece)
			}
		})
	}
}

// The errcode is read from the first 64 KiB.
func TestHTTPClient_LongRefusal(t *testing.T) {
	for size, refused := range map[int]bool{64 << 10: true, 64<<10 + 1: false} {
		f := setup(t)
		body := []byte(`{"x":"` + strings.Repeat("x", size-24) + `","errcode":40001}`)
		hc := f.HTTPClient(&http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(body))}, nil
		})})
		resp, err := hc.Get(api + "/cgi-bin/x")
		assert.Equal(t, string(body), read(t, resp, err))
		assert.Equal(t, refused, len(f.sidecar.reports()) == 1, size)
	}
}
