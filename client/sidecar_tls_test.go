package client_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
)

// writePEM writes a certificate to a file.
func writePEM(t *testing.T, path string, der []byte) string {
	t.Helper()
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return path
}

// otherCA returns a certificate that signed nothing but itself.
func otherCA(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &key.PublicKey, key)
	require.NoError(t, err)
	return der
}

// With CAFile the Client trusts the certificates in this file alone, and reads it for every
// connection.
func TestSidecar_HTTPS(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.crt")
	var server *httptest.Server
	f := setup(t, func(cfg *client.Config) {
		fake := newFakeSidecar()
		server = httptest.NewTLSServer(fake)
		t.Cleanup(server.Close)
		writePEM(t, ca, otherCA(t))
		cfg.Transport, cfg.Sidecar, cfg.CAFile = nil, server.URL, ca
	})
	f.memcached.Flush()
	_, err := f.AccessToken(t.Context())
	require.ErrorContains(t, err, "check SIDECAR_CA_FILE")
	clean(t, err)

	writePEM(t, ca, server.Certificate().Raw)
	assert.Equal(t, t1, f.token(t))

	server.CloseClientConnections()
	require.NoError(t, os.Remove(ca))
	_, err = f.Refresh(t.Context(), t1)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "check SIDECAR_CA_FILE")

	system, err := client.New(client.Config{AppID: "wx1", Servers: []string{"127.0.0.1:1"}, Sidecar: server.URL})
	require.NoError(t, err)
	defer func() { assert.NoError(t, system.Close()) }()
	_, err = system.AccessToken(t.Context())
	assert.ErrorContains(t, err, "check SIDECAR_CA_FILE", "the system's CAs did not sign it")
}

// A sidecar without TLS is named as the cause.
func TestSidecar_HTTPSToPlainHTTP(t *testing.T) {
	server := httptest.NewServer(newFakeSidecar())
	t.Cleanup(server.Close)
	address := strings.Replace(server.URL, "http:", "https:", 1)
	for _, file := range []string{"", writePEM(t, filepath.Join(t.TempDir(), "ca.crt"), otherCA(t))} {
		c, err := client.New(client.Config{AppID: "wx1", Servers: []string{"127.0.0.1:1"}, Sidecar: address, CAFile: file})
		require.NoError(t, err)
		_, err = c.AccessToken(t.Context())
		require.ErrorContains(t, err, "does not speak https: write http:// in SIDECAR_URL", file)
		require.NoError(t, c.Close())
	}
}

// A CA file that is unusable, or has no use, is an error.
func TestNew_CAFile(t *testing.T) {
	dir := t.TempDir()
	ca := writePEM(t, filepath.Join(dir, "ca.crt"), otherCA(t))
	fifo, text := filepath.Join(dir, "fifo"), filepath.Join(dir, "text")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	require.NoError(t, os.WriteFile(text, []byte("canarysecret"), 0o600))
	const https = "https://wxsidecar:7200"
	for name, c := range map[string]struct {
		cfg  client.Config
		says string
	}{
		"missing":       {client.Config{Sidecar: https, CAFile: filepath.Join(dir, "none")}, "no such file"},
		"a FIFO":        {client.Config{Sidecar: https, CAFile: fifo}, "is no regular file"},
		"text":          {client.Config{Sidecar: https, CAFile: text}, "no certificate in PEM"},
		"plain http":    {client.Config{CAFile: ca}, "is not https"},
		"a unix socket": {client.Config{Sidecar: "unix:///run/s", CAFile: ca}, "is not https"},
		"a transport":   {client.Config{Sidecar: https, CAFile: ca, Transport: newFakeSidecar()}, "Transport is set too"},
	} {
		c.cfg.AppID = "wx1"
		_, err := client.New(c.cfg)
		require.ErrorContains(t, err, "CAFile: ", name)
		require.ErrorContains(t, err, c.says, name)
		clean(t, err)
	}
	_, err := client.New(client.Config{AppID: "wx1", Sidecar: https, CAFile: ca})
	require.NoError(t, err)
}
