package web_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/web"
)

// Over TCP, the Host must be loopback.
func TestGuard_HostOverTCP(t *testing.T) {
	hosts := map[string]bool{
		"127.0.0.1": true, "127.0.0.1:7200": true, "127.0.0.2": true, "localhost": true, "localhost:7200": true,
		"LOCALHOST": true, "localhost.": true, "[::1]": true, "[::1]:7200": true, "[::ffff:127.0.0.1]": true,
		"": false, "evil.com": false, "evil.com:7200": false, "localhost.evil.com": false, "127.0.0.1.evil.com": false,
		"127.1": false, "2130706433": false, "0x7f000001": false, "0.0.0.0": false, "[::]": false, "10.0.0.1": false,
		"[::1": false, "::1]": false, "[::1]evil.com": false, "127.0.0.1:evil": false, "localhost:7200:1": false,
		"[::1%25lo]": false, "evil.com#localhost": false, "localhost@evil.com": false, "localhost..": false,
	}
	h := newTestSidecar(t, nil, appID)
	dial := serve(t, h.api(t, ""), "127.0.0.1:0")
	for host, ok := range hosts {
		assert.Equal(t, ok, web.IsLoopback(host), "Host: %s", host)
		header := "Host: " + host
		raw := "GET " + tokenPath + " HTTP/1.1\r\n" + header + "\r\nX-Wxsidecar: 1\r\n\r\n"
		conn := dial()
		_, err := conn.Write([]byte(raw))
		require.NoError(t, err)
		got := readAnswer(t, conn, "GET")
		require.NoError(t, conn.Close())
		if ok {
			assert.Equal(t, 200, got.status, header)
		} else {
			assert.Contains(t, []int{400, 403}, got.status, header) // 400 is net/http's, where it is no Host at all
		}
	}
	bare := dial()
	defer func() { _ = bare.Close() }()
	_, err := bare.Write([]byte("GET " + tokenPath + " HTTP/1.0\r\nX-Wxsidecar: 1\r\n\r\n"))
	require.NoError(t, err)
	assert.Equal(t, 403, readAnswer(t, bare, "GET").status, "HTTP/1.0 without a Host")
}

// Over a unix socket any Host passes, and the other guards apply.
func TestGuard_HostOverUnixSocket(t *testing.T) {
	h := newTestSidecar(t, nil, appID)
	dial := serve(t, h.api(t, ""), "unix://"+filepath.Join(t.TempDir(), "s"))
	assert.Equal(t, 200, ask{target: tokenPath, host: "sidecar"}.over(t, dial).status)
	assert.Equal(t, 403, ask{target: tokenPath, noMark: true}.over(t, dial).status)
	assert.Equal(t, 403, ask{target: tokenPath, header: []string{"Origin: null"}}.over(t, dial).status)
	assert.Equal(t, 403, ask{target: tokenPath, header: []string{"X-Forwarded-For: 10.0.0.1"}}.over(t, dial).status)
}

// With a bearer token, no other guard but X-Wxsidecar applies.
func TestGuard_Bearer(t *testing.T) {
	h := newTestSidecar(t, nil, appID)
	file := filepath.Join(t.TempDir(), "bearer")
	require.NoError(t, os.WriteFile(file, []byte("\n "+bearer+" \r\n"), 0o600))
	dial := serve(t, h.api(t, file), "127.0.0.1:0")
	for _, headers := range [][]string{
		{"Authorization: Bearer " + bearer},
		{"authorization: bearer   " + bearer, "X-Forwarded-For: 10.0.0.1", "Origin: http://evil.com"},
	} {
		assert.Equal(t, 200, ask{target: tokenPath, host: "wxsidecar.default.svc", header: headers}.over(t, dial).status)
	}
	for _, headers := range [][]string{
		nil,
		{"Authorization:"},
		{"Authorization: Bearer"},
		{"Authorization: Bearer " + bearer + "x"},
		{"Authorization: Bearer " + bearer[1:]},
		{"Authorization: " + bearer},
		{"Authorization: Basic " + bearer},
		{"Authorization: Bearer " + bearer, "Authorization: Bearer " + bearer},
		{"Authorization: Bearer " + bearer + "," + bearer},
	} {
		assert.Equal(t, 401, ask{target: tokenPath, header: headers}.over(t, dial).status)
	}
	golden(t, "bearer", ask{target: tokenPath, header: []string{"Authorization: Bearer wrong"}}.over(t, dial).String())
	marked := ask{target: tokenPath, noMark: true, header: []string{"Authorization: Bearer " + bearer}}
	assert.Equal(t, 403, marked.over(t, dial).status, "X-Wxsidecar comes first")
}

// The bearer file is read again when it changes.
func TestBearer_FileChanges(t *testing.T) {
	h := newTestSidecar(t, nil, appID)
	folder := t.TempDir()
	// As Kubernetes mounts a Secret: a link to a file behind a link to a folder.
	put := func(version, text string) {
		require.NoError(t, os.Mkdir(filepath.Join(folder, version), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(folder, version, "bearer"), []byte(text), 0o600))
		require.NoError(t, os.Symlink(version, filepath.Join(folder, "..new")))
		require.NoError(t, os.Rename(filepath.Join(folder, "..new"), filepath.Join(folder, "..data")))
	}
	put("..1", "canarysecret-1")
	file := filepath.Join(folder, "bearer")
	require.NoError(t, os.Symlink("..data/bearer", file))
	dial := serve(t, h.api(t, file), "127.0.0.1:0")
	status := func(token string) int {
		return ask{target: tokenPath, header: []string{"Authorization: Bearer " + token}}.over(t, dial).status
	}
	assert.Equal(t, 200, status("canarysecret-1"))

	put("..2", "canarysecret-2")
	assert.Equal(t, 200, status("canarysecret-2"))
	assert.Equal(t, 401, status("canarysecret-1"))

	tick := time.Now() // in place, same length, within a tick of the file's clock
	for _, token := range []string{"canarysecret-3", "canarysecret-4"} {
		require.NoError(t, os.WriteFile(file, []byte(token), 0o600))
		require.NoError(t, os.Chtimes(file, tick, tick))
		assert.Equal(t, 200, status(token))
	}

	long := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(file, long, long))
	assert.Equal(t, 200, status("canarysecret-4"))
	assert.Equal(t, 401, status("canarysecret-3"))

	require.NoError(t, os.WriteFile(file, nil, 0o600))
	assert.Equal(t, 200, status("canarysecret-4"), "the last good one stays")
	assert.Equal(t, 401, status(""))
	require.NoError(t, os.Remove(file))
	assert.Equal(t, 200, status("canarysecret-4"), "the last good one stays")
	assert.Contains(t, h.log.String(), "bearer token unreadable")

	require.NoError(t, os.WriteFile(file, []byte("canarysecret-5"), 0o600))
	assert.Equal(t, 200, status("canarysecret-5"))
	assert.Equal(t, 401, status("canarysecret-4"))
}

// An unusable bearer file at the start is an error.
func TestBearer_UnusableAtStart(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{"empty": "", "blank": " \n", "two-words": "canarysecret-1 canarysecret-2"} {
		file := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		_, err := web.NewAPI(web.APIConfig{BearerFile: file})
		require.ErrorContains(t, err, file)
		assert.NotContains(t, err.Error(), "canary")
	}
	_, err := web.NewAPI(web.APIConfig{BearerFile: filepath.Join(folder, "missing")})
	require.ErrorIs(t, err, os.ErrNotExist)
}

// The log says once that the bearer file is gone.
func TestBearer_LogsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, nil, appID)
		file := filepath.Join(t.TempDir(), "bearer")
		require.NoError(t, os.WriteFile(file, []byte(bearer), 0o600))
		api := h.api(t, file)
		l := newPipes()
		serveOn(t, l, api)
		require.NoError(t, os.Remove(file))
		for range 3 {
			got := ask{target: tokenPath, header: []string{"Authorization: Bearer " + bearer}}.over(t, l.dial)
			assert.Equal(t, 200, got.status)
		}
		assert.Len(t, splitLines(h.log.String(), "bearer token unreadable"), 1)
	})
}
