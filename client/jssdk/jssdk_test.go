package jssdk_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client/jssdk"
	"github.com/wxsidecar/wxsidecar/client/jssdk/jssdktest"
)

const tablePath = "../testdata/signatures.json"

// The example on WeChat's page about the JS-SDK.
func TestSignature_WeChatsExample(t *testing.T) {
	assert.Equal(t, "0f9de62fce790f9a083d5c99e95740ceb90c27ed", jssdk.Signature(
		"sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg",
		"Wm3WZYTPz0wzccnW", 1414587457, "http://mp.weixin.qq.com?params=value"))
}

// Every page of the table is signed or refused as it says.
func TestPage_Table(t *testing.T) {
	table := jssdktest.Read(t, tablePath)
	for _, p := range table.Pages {
		page, err := jssdk.Page(p.URL)
		if p.Refused {
			require.ErrorIs(t, err, jssdk.ErrPage, p.Name)
			assert.Empty(t, page, p.Name)
			continue
		}
		require.NoError(t, err, p.Name)
		assert.Equal(t, p.Signed, page, p.Name)
		assert.Equal(t, p.Signature, jssdk.Signature(table.Ticket, table.NonceStr, table.Timestamp, page), p.Name)
	}
	_, err := jssdk.Page("https://example.com/\xff")
	require.ErrorIs(t, err, jssdk.ErrPage, "not UTF-8")
	page, err := jssdk.Page("https://example.com/" + strings.Repeat("a", 100_000))
	require.NoError(t, err)
	assert.Len(t, page, 100_020)
}

// A Config has a nonce of its own, the time, and the names that wx.config uses.
func TestSign_Config(t *testing.T) {
	const ticket, page = "canarytoken-ticket", "https://example.com/?a=1"
	first, second := jssdk.Sign("wx1", ticket, page), jssdk.Sign("wx1", ticket, page)
	assert.NotEqual(t, first.NonceStr, second.NonceStr)
	assert.InDelta(t, time.Now().Unix(), first.Timestamp, 5)
	assert.Equal(t, jssdk.Signature(ticket, first.NonceStr, first.Timestamp, page), first.Signature)
	text, err := json.Marshal(first)
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(text, &fields))
	assert.Equal(t, map[string]any{
		"appId": "wx1", "timestamp": float64(first.Timestamp), "nonceStr": first.NonceStr, "signature": first.Signature, "url": page,
	}, fields)
}
