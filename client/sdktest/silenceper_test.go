package sdktest

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/silenceper/wechat/v2"
	"github.com/silenceper/wechat/v2/cache"
	"github.com/silenceper/wechat/v2/officialaccount"
	"github.com/silenceper/wechat/v2/officialaccount/config"
	"github.com/silenceper/wechat/v2/util"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
)

// newSilenceper returns the SDK with the README's lines, and without an AppSecret. It
// panics without a Cache, whose tokens it does not read. All requests of a process use
// one global HTTP client, so its tests do not run in parallel.
func newSilenceper(c *client.Client, e *endpoint) *officialaccount.OfficialAccount {
	util.DefaultHTTPClient = e.client()
	util.SetURIModifier(nil)
	officialAccount := wechat.NewWechat().GetOfficialAccount(&config.Config{AppID: appID, Cache: cache.NewMemory()})
	officialAccount.SetAccessTokenHandle(c)
	officialAccount.GetJs().SetJsTicketHandle(c.JsTicketHandle())
	return officialAccount
}

func silenceper(c *client.Client, e *endpoint) func() error {
	users := newSilenceper(c, e).GetUser()
	return func() error {
		info, err := users.GetUserInfo(openID)
		if err != nil {
			return err
		}
		return sameUser(info.OpenID)
	}
}

// silenceperThroughHTTPClient connects the SDK through Client.HTTPClient, and removes
// the token from its addresses, so that HTTPClient adds one.
func silenceperThroughHTTPClient(c *client.Client, e *endpoint) func() error {
	request := silenceper(c, e)
	util.DefaultHTTPClient = c.HTTPClient(e.client())
	util.SetURIModifier(withoutToken)
	return request
}

// silenceperSignature returns the SDK's signature, and one with the newest ticket.
func silenceperSignature(t *testing.T, c *client.Client, e *endpoint, newest func() string) (got, want string) {
	t.Helper()
	const page = "https://example.com/?a=b"
	signed, err := newSilenceper(c, e).GetJs().GetConfig(page)
	require.NoError(t, err)
	sum := sha1.Sum(fmt.Appendf(nil, "jsapi_ticket=%s&noncestr=%s&timestamp=%d&url=%s", newest(), signed.NonceStr, signed.Timestamp, page))
	return signed.Signature, hex.EncodeToString(sum[:])
}

// The SDK itself neither reports nor repeats. The app sees WeChat's errcode and reports
// the token; the next request succeeds.
func TestSilenceper_AppReports(t *testing.T) { // not parallel: see newSilenceper
	w := newExternalFetch(t)
	c := w.client(t)
	request := silenceper(c, w.endpoint)
	require.NoError(t, request())

	w.fetch(t)
	token, err := c.AccessToken(t.Context())
	require.NoError(t, err)
	for range 2 {
		require.ErrorContains(t, request(), "errcode=40001", "before the report")
	}
	_, err = c.Refresh(t.Context(), token)
	require.NoError(t, err)
	require.NoError(t, request())
	w.assertOneRenewal(t, count{uses: 3, invalid: 2})
}

// The program of docs/clients.md compiles, and has this file's withoutToken.
func TestSilenceper_Docs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "clients.md"))
	require.NoError(t, err)
	program := regexp.MustCompile("(?s)```go\n(package main\n[^`]*silenceper/wechat/v2[^`]*)```").FindSubmatch(page)
	require.NotNil(t, program)
	file := filepath.Join(t.TempDir(), "main.go")
	require.NoError(t, os.WriteFile(file, program[1], 0o600))
	out, err := exec.CommandContext(t.Context(), "go", "vet", file).CombinedOutput()
	require.NoError(t, err, "%s", out)

	own, err := os.ReadFile("silenceper_test.go")
	require.NoError(t, err)
	_, function, _ := strings.Cut(string(own), "\nfunc withoutToken(")
	require.Contains(t, string(program[1]), "\nfunc withoutToken("+function)
}

// withoutToken returns an address without its access_token.
func withoutToken(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	query := u.Query()
	query.Del("access_token")
	u.RawQuery = query.Encode()
	return u.String()
}
