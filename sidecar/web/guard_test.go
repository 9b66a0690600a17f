package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/bearerfile"
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
	put("..1", "canarysecret-bearer-1")
	file := filepath.Join(folder, "bearer")
	require.NoError(t, os.Symlink("..data/bearer", file))
	dial := serve(t, h.api(t, file), "127.0.0.1:0")
	status := func(token string) int {
		return ask{target: tokenPath, header: []string{"Authorization: Bearer " + token}}.over(t, dial).status
	}
	assert.Equal(t, 200, status("canarysecret-bearer-1"))

	put("..2", "canarysecret-bearer-2")
	assert.Equal(t, 200, status("canarysecret-bearer-2"))
	assert.Equal(t, 401, status("canarysecret-bearer-1"))

	tick := time.Now() // in place, same length, within a tick of the file's clock
	for _, token := range []string{"canarysecret-bearer-3", "canarysecret-bearer-4"} {
		require.NoError(t, os.WriteFile(file, []byte(token), 0o600))
		require.NoError(t, os.Chtimes(file, tick, tick))
		assert.Equal(t, 200, status(token))
	}

	long := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(file, long, long))
	assert.Equal(t, 200, status("canarysecret-bearer-4"))
	assert.Equal(t, 401, status("canarysecret-bearer-3"))

	require.NoError(t, os.WriteFile(file, nil, 0o600))
	assert.Equal(t, 200, status("canarysecret-bearer-4"), "the last good one stays")
	assert.Equal(t, 401, status(""))
	require.NoError(t, os.Remove(file))
	assert.Equal(t, 200, status("canarysecret-bearer-4"), "the last good one stays")
	assert.Contains(t, h.log.String(), "bearer token unreadable")

	require.NoError(t, os.WriteFile(file, []byte("canarysecret-bearer-5"), 0o600))
	assert.Equal(t, 200, status("canarysecret-bearer-5"))
	assert.Equal(t, 401, status("canarysecret-bearer-4"))
}

// Both tokens of a file with two lines are accepted, in the header and as compat's
// secret: a rotation is old and new, then new.
func TestBearer_TwoLines(t *testing.T) {
	h := newTestSidecar(t, nil, appID)
	file := filepath.Join(t.TempDir(), "bearer")
	const before, after = "canarysecret-bearer-old", "canarysecret-bearer-new"
	require.NoError(t, os.WriteFile(file, []byte(before), 0o600))
	dial := serve(t, h.compat(t, file), "127.0.0.1:0")
	for _, step := range []struct {
		text     string
		old, new bool
	}{
		{before + "\n", true, false},
		{before + "\n" + after + "\n", true, true},
		{"\n " + after + "\r\n\r\n" + before, true, true},
		{after, false, true},
	} {
		require.NoError(t, os.WriteFile(file, []byte(step.text), 0o600))
		for token, ok := range map[string]bool{before: step.old, after: step.new, before + "\n" + after: false, "": false} {
			api := ask{target: tokenPath, header: []string{"Authorization: Bearer " + url.PathEscape(token)}}
			assert.Equal(t, ok, api.over(t, dial).status == 200)
			assert.Equal(t, ok, strings.Contains(classic(appID+"&secret="+url.QueryEscape(token)).over(t, dial).body, "access_token"))
		}
	}
}

// An unusable bearer file at the start is an error, and later the last one stays valid.
// A FIFO does not block.
func TestBearer_UnusableFile(t *testing.T) {
	h := newTestSidecar(t, nil, appID)
	folder := t.TempDir()
	kept := filepath.Join(folder, "kept")
	for says, text := range map[string]string{
		"is empty": "", "file is empty": " \n\r\n", "has a space": "canarysecret-1 canarysecret-2", "not ASCII": "canarysecret-密码-1",
		"fewer than 16 bytes": "canarysecret-bb", "a token has fewer than 16": bearer + "\nshort", "more than two lines": strings.Repeat(bearer+"\n", 3),
		"a token has more than 2048 bytes": strings.Repeat("b", 2049), "has more than 4160 bytes": strings.Repeat(" ", 5000),
		"byte order mark": "\xef\xbb\xbf" + bearer, "is UTF-16": "\xff\xfec\x00a\x00n\x00",
		"text of the example": "replace-me-with-something-random", "the example": bearer + "\nreplace-me-with-another",
	} {
		file := filepath.Join(folder, strings.ReplaceAll(says, " ", "-"))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		_, err := web.NewAPI(web.APIConfig{BearerFile: file})
		require.ErrorContains(t, err, file)
		require.ErrorContains(t, err, says)
		assert.NotContains(t, err.Error(), "canary")
		_, _, err = bearerfile.Read(file)
		require.ErrorContains(t, err, says)
		assert.NotContains(t, err.Error(), folder, "the path can be a secret in the wrong variable")

		require.NoError(t, os.WriteFile(kept, []byte(bearer), 0o600))
		api := h.api(t, kept)
		require.NoError(t, os.Rename(file, kept))
		assert.Equal(t, 200, statusWith(api, bearer), says)
	}
	_, err := web.NewAPI(web.APIConfig{BearerFile: filepath.Join(folder, "missing")})
	require.ErrorIs(t, err, os.ErrNotExist)

	require.NoError(t, os.WriteFile(kept, []byte(bearer), 0o600))
	api := h.api(t, kept)
	require.NoError(t, os.Remove(kept))
	require.NoError(t, syscall.Mkfifo(kept, 0o600))
	answered := make(chan int)
	go func() { answered <- statusWith(api, bearer) }()
	select {
	case status := <-answered:
		assert.Equal(t, 200, status)
	case <-time.After(10 * time.Second):
		require.Fail(t, "a FIFO blocks the API")
	}
	_, _, err = bearerfile.Read(kept)
	require.ErrorContains(t, err, "not a regular file")
}

// statusWith asks a handler for the token, with this bearer token.
func statusWith(api http.Handler, bearer string) int {
	r, w := httptest.NewRequest("GET", tokenPath, nil), httptest.NewRecorder()
	r.Header.Set("X-Wxsidecar", "1")
	r.Header.Set("Authorization", "Bearer "+bearer)
	api.ServeHTTP(w, r)
	return w.Code
}

// Refused callers are counted, and logged once a minute with their number.
func TestBearer_RefusedCallersLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, nil, appID)
		l := newPipes()
		serveOn(t, l, h.compat(t, withBearer(t)))
		lines := func() []string { return splitLines(h.log.String(), `msg="requests refused"`) }
		for range 90 { // for 3 min
			ask{target: tokenPath, header: []string{"Authorization: Bearer canarysecret-of-another"}}.over(t, l.dial)
			classic(appID+"&secret=canarysecret-of-another").over(t, l.dial)
			classic(appID).over(t, l.dial)
			ask{target: tokenPath, header: []string{"Authorization: Bearer " + bearer}}.over(t, l.dial)
			time.Sleep(2 * time.Second)
		}
		require.Len(t, lines(), 3)
		assert.Contains(t, lines()[0], "level=WARN")
		assert.Contains(t, lines()[0], "requests=1 ")
		assert.Contains(t, lines()[1], "requests=90 ")
		assert.Contains(t, lines()[1], "SIDECAR_AUTH_TOKEN_FILE")
		assert.Contains(t, probe(h.ops(), "GET", "/metrics").body, `wxsidecar_refused_requests_total{reason="bearer"} 270`)
	})
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
