package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// A sidecar with a certificate serves https alone, and readers cannot renew.
func TestRun_TLSAndReaders(t *testing.T) {
	t.Parallel()
	w := programtest.NewBackends(t)
	folder := t.TempDir()
	cert, key := programtest.WritePair(t, folder)
	full := programtest.WriteFile(t, filepath.Join(folder, "full"), "canarysecret-bearer\n")
	reader := programtest.WriteFile(t, filepath.Join(folder, "reader"), "canarysecret-reader\n")
	address := programtest.Address(t)
	r := start(t, append(w.Environ, "SIDECAR_LISTEN="+address, "SIDECAR_AUTH_TOKEN_FILE="+full, "SIDECAR_READER_TOKEN_FILE="+reader,
		"SIDECAR_TLS_CERT_FILE="+cert, "SIDECAR_TLS_KEY_FILE="+key))
	store := w.Store(t)
	eventually(t, func() bool { return programtest.Entry(t, store) != "" }, "an entry")
	app := func(sidecar, ca, bearer string) *client.Client {
		c, err := client.New(client.Config{
			AppID: appID, Servers: []string{"127.0.0.1:1"}, Sidecar: sidecar, CAFile: ca, AuthTokenFile: bearer,
		})
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, c.Close()) })
		return c
	}
	token, err := app("https://"+address, cert, reader).AccessToken(t.Context())
	require.NoError(t, err)
	assertSame(t, w.LastToken(), token, "over https")
	var refused *client.Error
	_, err = app("https://"+address, cert, reader).Refresh(t.Context(), token)
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, http.StatusForbidden, refused.Code)
	_, err = app("https://"+address, cert, full).Refresh(t.Context(), token)
	require.NoError(t, err)
	_, err = app("https://"+address, "", full).AccessToken(t.Context())
	require.ErrorContains(t, err, "check SIDECAR_CA_FILE")
	_, err = app("http://"+address, "", full).AccessToken(t.Context())
	require.ErrorContains(t, err, "write https:// in SIDECAR_URL")
	assert.Equal(t, 2, w.WeChat.Requests("", ""))
	r.stop()
	assert.Equal(t, exitFine, r.ends(t))
}

// A command beside the sidecar needs no certificate for the loopback address: that of a
// Service is enough.
func TestQuota_CertificateOfAService(t *testing.T) {
	t.Parallel()
	w := programtest.NewBackends(t)
	folder := t.TempDir()
	cert, key := writeServicePair(t, folder)
	environ := slices.Concat(w.Environ, []string{"SIDECAR_LISTEN=" + programtest.Address(t), "SIDECAR_TLS_CERT_FILE=" + cert, "SIDECAR_TLS_KEY_FILE=" + key})
	start(t, environ)
	store := w.Store(t)
	eventually(t, func() bool { return programtest.Entry(t, store) != "" }, "an entry")
	exit, stdout, stderr := runCLI(t, append(environ, "MEMCACHED_SERVERS=127.0.0.1:1"), "quota")
	assert.Equal(t, exitFine, exit, stderr)
	assert.Contains(t, stdout, appID)

	other, itsKey := programtest.WritePair(t, t.TempDir())
	exit, stdout, stderr = runCLI(t, append(environ, "MEMCACHED_SERVERS=127.0.0.1:1", "SIDECAR_TLS_CERT_FILE="+other, "SIDECAR_TLS_KEY_FILE="+itsKey), "quota")
	assert.Equal(t, exitFailed, exit)
	assert.Empty(t, stdout, "no row, no header")
	assert.Contains(t, stderr, "certificate", "another one is not accepted")
}

// writeServicePair writes a certificate for wxsidecar.wx.svc alone, and its key.
func writeServicePair(t *testing.T, folder string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"wxsidecar.wx.svc"}, NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	text := func(kind string, bytes []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}))
	}
	return programtest.WriteFile(t, filepath.Join(folder, "tls.crt"), text("CERTIFICATE", cert)),
		programtest.WriteFile(t, filepath.Join(folder, "tls.key"), text("PRIVATE KEY", private))
}
