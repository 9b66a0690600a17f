package sdktest

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net/url"
	"testing"

	"github.com/silenceper/wechat/v2"
	"github.com/silenceper/wechat/v2/cache"
	"github.com/silenceper/wechat/v2/officialaccount"
	"github.com/silenceper/wechat/v2/officialaccount/config"
	"github.com/silenceper/wechat/v2/util"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
)

// newSilenceper is the SDK with the README's lines, and without an AppSecret. It
// panics without a Cache, whose tokens it then never looks at. All requests of a
// process go through one global HTTP client.
func newSilenceper(c *client.Client, d *door) *officialaccount.OfficialAccount {
	util.DefaultHTTPClient = d.client()
	officialAccount := wechat.NewWechat().GetOfficialAccount(&config.Config{AppID: appID, Cache: cache.NewMemory()})
	officialAccount.SetAccessTokenHandle(c)
	officialAccount.GetJs().SetJsTicketHandle(c.JsTicketHandle())
	return officialAccount
}

// TestSilenceperLeavesTheReportToTheApp: the SDK repeats nothing. The app sees
// WeChat's errcode, reports the token, and the next call is fine.
func TestSilenceperLeavesTheReportToTheApp(t *testing.T) { // not parallel: the SDK's HTTP client is global
	w := newTheft(t)
	c := w.client(t)
	users := newSilenceper(c, w.door).GetUser()
	info, err := users.GetUserInfo(openID)
	require.NoError(t, err)
	assert.Equal(t, openID, info.OpenID)

	w.steal(t)
	token, err := c.AccessToken(t.Context())
	require.NoError(t, err)
	for range 2 {
		_, err = users.GetUserInfo(openID)
		require.ErrorContains(t, err, "errcode=40001", "nobody has said a word")
	}
	_, err = c.Refresh(t.Context(), token)
	require.NoError(t, err)
	info, err = users.GetUserInfo(openID)
	require.NoError(t, err)
	assert.Equal(t, openID, info.OpenID)
	w.assertHealed(t, count{uses: 3, dead: 2})
}

// TestSilenceperHealsByItselfThroughTheClientsHTTPClient: where the token is cut
// out of the SDK's addresses, Client.HTTPClient adds one, reports it and repeats.
func TestSilenceperHealsByItselfThroughTheClientsHTTPClient(t *testing.T) { // not parallel, as above
	w := newTheft(t)
	c := w.client(t)
	users := newSilenceper(c, w.door).GetUser()
	util.DefaultHTTPClient = c.HTTPClient(w.door.client())
	util.SetURIModifier(withoutToken)
	t.Cleanup(func() { util.SetURIModifier(nil) })
	info, err := users.GetUserInfo(openID)
	require.NoError(t, err)
	assert.Equal(t, openID, info.OpenID)

	w.steal(t)
	info, err = users.GetUserInfo(openID)
	require.NoError(t, err)
	assert.Equal(t, openID, info.OpenID)
	w.assertHealed(t, count{uses: 2, dead: 1})
}

// TestSilenceperSignsPagesWithTheSidecarsTicket, in every process, before and
// after the app has said that WeChat refused the ticket.
func TestSilenceperSignsPagesWithTheSidecarsTicket(t *testing.T) { // not parallel, as above
	const page = "https://example.com/?a=b"
	w := newSigning(t)
	var processes []*client.Client
	for range 2 {
		processes = append(processes, w.client(t))
	}
	sign := func() {
		t.Helper()
		for _, c := range processes {
			signed, err := newSilenceper(c, w.door).GetJs().GetConfig(page)
			require.NoError(t, err)
			sum := sha1.Sum(fmt.Appendf(nil, "jsapi_ticket=%s&noncestr=%s&timestamp=%d&url=%s", w.newest(t), signed.NonceStr, signed.Timestamp, page))
			assert.Equal(t, hex.EncodeToString(sum[:]), signed.Signature, "signed with the newest ticket")
		}
	}
	sign()

	_, err := processes[0].RefreshTicket(t.Context(), client.JSAPI, w.void(t))
	require.NoError(t, err)
	sign()
	w.assertLeftToTheSidecar(t)
}

// withoutToken cuts the access_token out of an address.
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
