package web_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client/jssdk"
	"github.com/wxsidecar/wxsidecar/client/jssdk/jssdktest"
	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// newSigner returns an API that keeps the ticket of the table of pages, and the table.
func newSigner(t *testing.T) (over func(ask) answer, table jssdktest.Table) {
	t.Helper()
	table = jssdktest.Read(t, "../../client/testdata/signatures.json")
	h := newTestSidecar(t, func(r wechattest.Request) wechattest.Answer {
		if r.API != "jsapi" {
			return wechattest.Answer{}
		}
		return wechattest.Answer{Kind: wechattest.Raw, Body: `{"errcode":0,"errmsg":"ok","ticket":"` + table.Ticket + `","expires_in":7200}`}
	})
	h.wechat.AddAccount(appID, secret)
	require.NoError(t, h.group.SetAccounts([]keeper.Account{{
		AppID: appID, Secret: func() (string, error) { return secret, nil }, Tickets: []memcache.Kind{memcache.JSAPITicket},
	}}))
	dial := serve(t, h.api(t, ""), "127.0.0.1:0")
	return func(a ask) answer { return a.over(t, dial) }, table
}

// signed returns what an answer has for wx.config.
func signed(t *testing.T, a answer, name string) jssdk.Config {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status, name)
	assert.Equal(t, "no-store", a.header.Get("Cache-Control"))
	var fields map[string]any
	require.NoError(t, json.Unmarshal([]byte(a.body), &fields))
	require.Len(t, fields, 5)
	var c jssdk.Config
	require.NoError(t, json.Unmarshal([]byte(a.body), &c))
	return c
}

// asPython changes an encoded address into what Python's quote makes.
var asPython = strings.NewReplacer("%2F", "/", "+", "%20", "%7E", "~")

// Every page of the table is signed, in the query and in a body, or refused as it says.
func TestSignature_Table(t *testing.T) {
	over, table := newSigner(t)
	nonces := map[string]bool{}
	for _, p := range table.Pages {
		body, err := json.Marshal(map[string]string{"url": p.URL})
		require.NoError(t, err)
		for name, a := range map[string]ask{
			p.Name + ", encoded":           {target: signPath + "?url=" + url.QueryEscape(p.URL)},
			p.Name + ", encoded by Python": {target: signPath + "?url=" + asPython.Replace(url.QueryEscape(p.URL))},
			p.Name + ", in a body":         {method: "POST", target: signPath, body: string(body)},
		} {
			got := over(a)
			if p.Refused {
				assert.Equal(t, http.StatusBadRequest, got.status, name)
				assert.Contains(t, got.body, "encode the URL", name)
				assert.NotContains(t, got.body, "example.com", "%s: not quoted", name)
				continue
			}
			c := signed(t, got, name)
			assert.Equal(t, appID, c.AppID, name)
			assert.Equal(t, p.Signed, c.URL, name)
			assert.Equal(t, jssdk.Signature(table.Ticket, c.NonceStr, c.Timestamp, p.Signed), c.Signature, name)
			assert.False(t, nonces[c.NonceStr], "%s: a nonce of its own", name)
			nonces[c.NonceStr] = true
		}
	}
}

// The query is decoded once. What was not encoded is signed only if nothing of it is lost.
func TestSignature_Query(t *testing.T) {
	over, _ := newSigner(t)
	for query, want := range map[string]string{ // "": refused
		"url=https%3A%2F%2Fexample.com%2F%25E5%2595%2586": "https://example.com/%E5%95%86",
		"url=https%3A//example.com/%3Fa%3D1%26b%3D2":      "https://example.com/?a=1&b=2", // as Python encodes
		"url=https%3A%2F%2Fexample.com%2F%3Fa%3Db=c":      "https://example.com/?a=b=c",
		"url=http://mp.weixin.qq.com?params=value":        "http://mp.weixin.qq.com?params=value",
		"url=https%3A%2F%2Fexample.com%2F%23%2Fcart":      "https://example.com/",

		"url=https://example.com/?a=1&b=2":                 "",
		"url=https://example.com/%E5%95%86":                "",
		"url=https%253A%252F%252Fexample.com%252F":         "", // encoded twice
		"url=https%3A%2F%2Fexample.com%2F&v=1":             "",
		"url=https%3A%2F%2Fexample.com%2F&url=https%3A%2F": "",
		"url=https%3A%2F%2Fexample.com%2F&":                "",
		"URL=https%3A%2F%2Fexample.com%2F":                 "",
		"url=https%3A%2F%2Fexample.com%2F?q=a+b":           "",
		"url=https%3A%2F%2Fexample.com%2F%FF":              "",
		"url=https%3A%2F%2Fexample.com%2F%":                "",
		"url":                                              "",
		"url=":                                             "",
		"":                                                 "",
	} {
		got := over(ask{target: signPath + "?" + query})
		if want == "" {
			assert.Equal(t, http.StatusBadRequest, got.status, query)
			assert.Contains(t, got.body, "encode the URL", query)
			continue
		}
		assert.Equal(t, want, signed(t, got, query).URL, query)
	}
	long := "https://example.com/?q=" + strings.Repeat("a", 7000)
	assert.Equal(t, long, signed(t, over(ask{method: "POST", target: signPath, body: `{"url":"` + long + `"}`}), "long").URL)
	assert.Equal(t, http.StatusRequestEntityTooLarge,
		over(ask{method: "POST", target: signPath, body: `{"url":"` + long + strings.Repeat("a", 1200) + `"}`}).status)
}

// All guards apply to signatures.
func TestSignature_Guards(t *testing.T) {
	over, _ := newSigner(t)
	const target = signPath + "?url=https%3A%2F%2Fexample.com%2F"
	assert.Equal(t, http.StatusForbidden, over(ask{target: target, noMark: true}).status)
	assert.Equal(t, http.StatusForbidden, over(ask{target: target, header: []string{"Origin: https://example.com"}}).status)
	assert.Equal(t, http.StatusForbidden, over(ask{target: target, host: "evil.com"}).status)
}
