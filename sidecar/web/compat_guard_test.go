package web_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// withBearer is a file with the bearer token.
func withBearer(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bearer")
	require.NoError(t, os.WriteFile(file, []byte(bearer), 0o600))
	return file
}

// All guards but X-Wxsidecar apply to WeChat's own routes.
func TestCompat_Guards(t *testing.T) {
	h := newTestSidecar(t, nil, appID)
	api := h.compat(t, "")
	dial, dialUnix := serve(t, api, "127.0.0.1:0"), serve(t, api, "unix://"+filepath.Join(t.TempDir(), "s"))
	for _, one := range []ask{classic(appID), stable(`{"grant_type":"client_credential","appid":"` + appID + `"}`), plain(ticketPath + "x")} {
		for _, header := range []string{"X-Forwarded-For: 127.0.0.1", "Origin: null", "Origin: http://127.0.0.1:7200"} {
			guarded := one
			guarded.header = []string{header}
			assert.Equal(t, http.StatusForbidden, guarded.over(t, dial).status, header)
			assert.Equal(t, http.StatusForbidden, guarded.over(t, dialUnix).status, header)
		}
		rebound := one
		rebound.host = "evil.com"
		assert.Equal(t, http.StatusForbidden, rebound.over(t, dial).status)
		assert.Equal(t, http.StatusOK, rebound.over(t, dialUnix).status, "over a unix socket any Host")
	}
	assert.Equal(t, http.StatusForbidden, plain("http://evil.com"+classicPath+appID).over(t, dial).status)
}

// Requests of browsers are refused on WeChat's own routes, with a bearer token too. Node.js
// sends Sec-Fetch-Mode and is not refused.
func TestCompat_NoBrowsers(t *testing.T) {
	h := newTestSidecar(t, nil, appID)
	open, closed := serve(t, h.compat(t, ""), "127.0.0.1:0"), serve(t, h.compat(t, withBearer(t)), "127.0.0.1:0")
	for _, site := range []string{"cross-site", "same-site", "same-origin", "none", ""} {
		one := classic(appID + "&secret=" + bearer)
		one.header = []string{"sec-fetch-site: " + site}
		assert.Equal(t, http.StatusForbidden, one.over(t, open).status, site)
		assert.Equal(t, http.StatusForbidden, one.over(t, closed).status, site)
	}
	one := classic(appID + "&secret=" + bearer)
	one.header = []string{"Sec-Fetch-Mode: cors"}
	token(t, one.over(t, open))
	token(t, one.over(t, closed))
}

// With a bearer token, the secret must be equal to it.
func TestCompat_SecretIsTheBearer(t *testing.T) {
	h := newTestSidecar(t, nil, appID)
	dial := serve(t, h.compat(t, withBearer(t)), "127.0.0.1:0")
	asks := func(account, secret string) [2]ask {
		query := classicPath + account + "&secret=" + url.QueryEscape(secret)
		body, err := json.Marshal(map[string]any{"grant_type": "client_credential", "appid": account, "secret": secret})
		require.NoError(t, err)
		return [2]ask{{noMark: true, target: query, host: "wxsidecar:7200"}, stable(string(body))}
	}
	for _, one := range asks(appID, bearer) {
		token(t, one.over(t, dial))
		one.header = []string{"X-Forwarded-For: 10.0.0.1", "Origin: http://evil.com"}
		token(t, one.over(t, dial))
	}
	for _, account := range []string{appID, "wxunknown"} {
		for secret, code := range map[string]int{
			"": 41004, "x": 40125, bearer + "x": 40125, bearer[1:]: 40125, " " + bearer: 40125, secret: 40125,
		} {
			for _, one := range asks(account, secret) {
				one.header = []string{"Authorization: Bearer " + bearer}
				assert.Equal(t, code, errcode(t, one.over(t, dial)), "the answer does not show which accounts there are")
			}
		}
	}
	for _, one := range asks("wxunknown", bearer) {
		assert.Equal(t, 40013, errcode(t, one.over(t, dial)))
	}
	twice := classic(appID+"&secret=x&secret="+bearer).over(t, dial)
	assert.Equal(t, 40125, errcode(t, twice), "the first one counts")
}

// A token authorizes a request for its own account's tickets.
func TestCompat_TokenAuthorizesTickets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, nil, appID, "wxother")
		open, closed := newPipes(), newPipes()
		serveOn(t, open, h.compat(t, ""))
		serveOn(t, closed, h.compat(t, withBearer(t)))
		// Not kept here: that is for owners to know.
		const in, out = 48001, 40001
		is := func(code int, token, claim string) {
			t.Helper()
			assert.Equal(t, code, errcode(t, plain(ticketPath+token).over(t, open.dial)), claim)
			assert.Equal(t, code, errcode(t, plain(ticketPath+token).over(t, closed.dial)), "%s, with a bearer", claim)
		}
		first := token(t, classic(appID).over(t, open.dial))
		is(in, first, "the current one")
		is(in, token(t, classic("wxother").over(t, open.dial)), "another account's")
		is(out, first[1:], "unknown")
		renewed, err := h.group.Refresh(t.Context(), appID, memcache.AccessToken, first)
		require.NoError(t, err)
		is(in, renewed.Value, "the current one")
		is(in, first, "the one before")
		time.Sleep(301 * time.Second)
		is(out, first, "the one before, invalid")
	})
}

// With a bearer token, a token known by its fingerprint alone authorizes nothing.
func TestCompat_FingerprintIsNoProof(t *testing.T) {
	h := newTestSidecar(t, nil)
	now := time.Now().Unix()
	const before = "90_before"
	record, err := json.Marshal(memcache.Record{
		Token: "90_now", Number: now * 1000, Issued: now, Expires: now + 7200, API: "token", Past: []string{memcache.Fingerprint(before)},
	})
	require.NoError(t, err)
	h.memcached.Put(appID+":record", string(record), 0, 7000)
	h.keep(t, appID)
	open, closed := serve(t, h.compat(t, ""), "127.0.0.1:0"), serve(t, h.compat(t, withBearer(t)), "127.0.0.1:0")
	assert.Equal(t, 48001, errcode(t, plain(ticketPath+"90_now").over(t, closed)))
	assert.Equal(t, 40001, errcode(t, plain(ticketPath+before).over(t, closed)), "32 bits can be guessed")
	assert.Equal(t, 48001, errcode(t, plain(ticketPath+before).over(t, open)), "who asks here may ask for any token")
}
