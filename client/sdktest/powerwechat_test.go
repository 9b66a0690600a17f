package sdktest

import (
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/wxsidecar/wxsidecar/client"
)

// hashMap is PowerWeChat's object.HashMap.
type hashMap map[string]any

// powerWeChat is the part of PowerWeChat v3 that uses tokens, because the module proxy
// does not have the module. If GetCustomToken is set, AccessToken calls it instead of
// its cache and WeChat, and asserts the types of access_token and expires_in. The HTTP
// layer repeats a request once, with refresh, if WeChat refuses the token.
type powerWeChat struct {
	GetCustomToken func(key string, refresh bool) hashMap
	http           *http.Client
}

func powerwechat(c *client.Client, e *endpoint) func() error {
	app := &powerWeChat{http: e.client()}
	app.GetCustomToken = client.PowerWeChat[hashMap](c) // the README's line
	return func() error { return refusal(app.userInfo()) }
}

// userInfo sends an API request and returns WeChat's errcode.
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

// errcodeOf returns WeChat's errcode for a GET request.
func errcodeOf(hc *http.Client, address string) (int, error) {
	resp, err := hc.Get(address)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct{ Errcode int }
	return answer.Errcode, json.NewDecoder(resp.Body).Decode(&answer)
}
