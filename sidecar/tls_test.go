package main

import (
	"net/http"
	"path/filepath"
	"testing"

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
