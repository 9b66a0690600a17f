package listener_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
	"github.com/wxsidecar/wxsidecar/sidecar/web/listener"
)

// secure is a listener with TLS that answers "fine".
type secure struct {
	cert, key string // the files
	address   string
	log       *programtest.Output
	entered   chan struct{} // closed when /wait is asked for
	wait      chan struct{} // closed when /wait is answered
}

func newSecure(t *testing.T, limit int) *secure {
	t.Helper()
	s := &secure{log: &programtest.Output{}, entered: make(chan struct{}), wait: make(chan struct{})}
	s.cert, s.key = programtest.WritePair(t, t.TempDir())
	certificate, err := listener.NewCertificate(s.cert, s.key, slog.New(slog.NewTextHandler(s.log, nil)))
	require.NoError(t, err)
	l, err := listener.Open(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	s.address = l.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			close(s.entered)
			<-s.wait
		}
		_, _ = io.WriteString(w, "fine")
	})
	go func() {
		served <- listener.Serve(ctx, certificate.Listen(l), handler, listener.Limits{Connections: limit, RequestTimeout: 5 * time.Second})
	}()
	t.Cleanup(func() {
		stop()
		assert.NoError(t, <-served)
		assert.NotContains(t, s.log.String(), filepath.Dir(s.cert), "the path can be a secret in the wrong variable")
	})
	return s
}

// get requests a path over a new connection, and trusts the certificates in a file alone.
func (s *secure) get(t *testing.T, path, trusted string) (string, error) {
	t.Helper()
	pem, err := os.ReadFile(trusted)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(pem))
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.address+path, nil)
	require.NoError(t, err)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// replace writes the files of another pair over those in use.
func (s *secure) replace(t *testing.T, cert, key string) {
	t.Helper()
	for to, from := range map[string]string{s.cert: cert, s.key: key} {
		text, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to, text, 0o600))
	}
}

// A changed certificate is used for the next connection. Files that do not belong together
// change nothing, and the log says so once.
func TestCertificate_FilesChange(t *testing.T) {
	t.Parallel()
	s := newSecure(t, 8)
	cert1, key1 := filepath.Join(t.TempDir(), "tls.crt"), filepath.Join(t.TempDir(), "tls.key")
	for to, from := range map[string]string{cert1: s.cert, key1: s.key} {
		text, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to, text, 0o600))
	}
	body, err := s.get(t, "/", cert1)
	require.NoError(t, err)
	assert.Equal(t, "fine", body)

	cert2, key2 := programtest.WritePair(t, t.TempDir())
	s.replace(t, cert2, key2)
	_, err = s.get(t, "/", cert2)
	require.NoError(t, err)
	_, err = s.get(t, "/", cert1)
	require.Error(t, err, "the first one is gone")
	assert.Contains(t, s.log.String(), "certificate read again")

	s.replace(t, cert1, key2) // as in the middle of a change
	for range 3 {
		_, err = s.get(t, "/", cert2)
		require.NoError(t, err, "the last pair stays")
	}
	assert.Equal(t, 1, strings.Count(s.log.String(), "certificate unreadable"), s.log.String())
	s.replace(t, cert1, key1)
	_, err = s.get(t, "/", cert1)
	require.NoError(t, err)
}

// A client that speaks plain http is told to use https.
func TestCertificate_PlainHTTP(t *testing.T) {
	t.Parallel()
	s := newSecure(t, 8)
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodHead} {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.address+"/v1/wx1/access_token", nil)
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err, method)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, http.StatusBadRequest, resp.StatusCode)
		if method != http.MethodHead {
			assert.JSONEq(t, `{"errcode":400,"errmsg":"this sidecar speaks https only","hint":"write https:// in SIDECAR_URL or SIDECAR_UPSTREAM"}`, string(body))
		}
	}
}

// A caller that waits for its answer is not idle: its connection is not closed to admit
// the next one. So the limit must count what is inside TLS.
func TestServe_TLSWaitingCallerStays(t *testing.T) {
	t.Parallel()
	s := newSecure(t, 1)
	var both sync.WaitGroup
	first, second := make(chan error, 1), make(chan error, 1)
	both.Go(func() { _, err := s.get(t, "/wait", s.cert); first <- err })
	<-s.entered
	both.Go(func() { _, err := s.get(t, "/", s.cert); second <- err })
	assert.Never(t, func() bool { return len(first)+len(second) > 0 }, 300*time.Millisecond, 10*time.Millisecond, "longer than its grace")
	close(s.wait)
	both.Wait()
	require.NoError(t, <-first)
	require.NoError(t, <-second)
}

// Each unusable file has its own error, without content and path.
func TestCheckCertificate_UnusableFiles(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "canarysecret")
	cert, key := programtest.WritePair(t, folder)
	otherCert, otherKey := programtest.WritePair(t, filepath.Join(folder, "other"))
	text := programtest.WriteFile(t, filepath.Join(folder, "text"), "canarysecret")
	long := programtest.WriteFile(t, filepath.Join(folder, "long"), strings.Repeat("canarysecret", 10_000))
	for name, c := range map[string]struct{ cert, key, ofCert, ofKey string }{
		"usable":               {cert, key, "", ""},
		"no files":             {folder + "/none", folder + "/none", "no such file", "no such file"},
		"a folder":             {folder, key, "is a directory", ""},
		"no certificate":       {text, key, "no certificate in PEM", ""},
		"the key in its place": {key, key, "no certificate in PEM", ""},
		"no key":               {cert, text, "", "no private key"},
		"the certificate":      {cert, cert, "", "no private key"},
		"another's key":        {cert, otherKey, "", "belongs to the certificate"},
		"another's":            {otherCert, key, "", "belongs to the certificate"},
		"too long":             {long, long, "more than 65536 bytes", "more than 65536 bytes"},
	} {
		ofCert, ofKey := listener.CheckCertificate(c.cert, c.key)
		for want, err := range map[string]error{c.ofCert: ofCert, c.ofKey: ofKey} {
			if want == "" {
				continue
			}
			require.ErrorContains(t, err, want, name)
			assert.NotContains(t, err.Error(), "canary", name)
		}
		assert.Equal(t, c.ofCert == "", ofCert == nil, name)
		assert.Equal(t, c.ofKey == "", ofKey == nil, name)
		_, err := listener.NewCertificate(c.cert, c.key, slog.New(slog.NewTextHandler(&bytes.Buffer{}, nil)))
		assert.Equal(t, ofCert == nil && ofKey == nil, err == nil, name)
	}
}
