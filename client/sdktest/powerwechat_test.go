package sdktest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
)

// hashMap is PowerWeChat's object.HashMap.
type hashMap map[string]any

// powerWeChat is as much of PowerWeChat v3 as its tokens take, since the module
// itself is not to be had: its AccessToken calls the field GetCustomToken, where
// that is set, instead of its cache and of WeChat, and takes access_token for a
// string and expires_in for a float64 without asking. Its HTTP layer calls once
// more, with refresh, where WeChat refuses the token.
type powerWeChat struct {
	GetCustomToken func(key string, refresh bool) hashMap
	http           *http.Client
}

func newPowerWeChat(c *client.Client, d *door) *powerWeChat {
	app := &powerWeChat{http: d.client()}
	app.GetCustomToken = client.PowerWeChat[hashMap](c) // the README's line
	return app
}

// userInfo is its API call: it returns WeChat's errcode.
func (p *powerWeChat) userInfo() (errcode int, err error) {
	for _, refresh := range []bool{false, true} {
		token := p.GetCustomToken("powerwechat.access_token.0123", refresh)
		_ = token["expires_in"].(float64)
		address := "https://api.weixin.qq.com/cgi-bin/user/info?openid=" + openID + "&access_token=" + url.QueryEscape(token["access_token"].(string))
		if errcode, err = errcodeOf(p.http, address); err != nil || errcode != 40001 && errcode != 40014 && errcode != 42001 {
			return errcode, err
		}
	}
	return errcode, nil
}

// errcodeOf is WeChat's answer to a GET.
func errcodeOf(hc *http.Client, address string) (int, error) {
	resp, err := hc.Get(address)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct{ Errcode int }
	return answer.Errcode, json.NewDecoder(resp.Body).Decode(&answer)
}

func TestPowerWeChatsFieldHealsByItself(t *testing.T) {
	t.Parallel()
	w := newTheft(t)
	app := newPowerWeChat(w.client(t), w.door)
	errcode, err := app.userInfo()
	require.NoError(t, err)
	assert.Zero(t, errcode)

	w.steal(t)
	errcode, err = app.userInfo()
	require.NoError(t, err)
	assert.Zero(t, errcode)
	w.assertHealed(t, count{uses: 2, dead: 1})
}
