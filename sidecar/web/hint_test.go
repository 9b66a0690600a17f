package web_test

import (
	"errors"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// Each failure without an errcode carries the hint of its cause.
func TestHints_WithoutAnErrcode(t *testing.T) {
	offline := &http.Transport{Dial: func(string, string) (net.Conn, error) { return nil, errors.New("no route") }} //nolint:staticcheck // short
	client, err := wechat.New(wechat.Config{BaseURLs: []string{"http://127.0.0.1"}, Transport: offline})
	require.NoError(t, err)
	for api, want := range map[wechat.API]hint.Hint{wechat.Token: hint.Unreached("127.0.0.1"), "?": hint.Fault} {
		_, err = client.Fetch(t.Context(), wechat.Request{API: api, AppID: appID, Secret: secret})
		var e *wechat.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, want, e.Hint)
	}

	synctest.Test(t, func(t *testing.T) {
		reset := func(r wechattest.Request) wechattest.Answer {
			if r.AppID == "wxreset" {
				return wechattest.Answer{Kind: wechattest.Reset}
			}
			return wechattest.Answer{}
		}
		h := newTestSidecar(t, reset, appID, "wxreset")
		synctest.Wait()
		assert.Equal(t, hint.Unanswered, h.group.States()[1].Err.Hint)

		token, err := h.group.Token(t.Context(), appID, memcache.AccessToken)
		require.NoError(t, err)
		time.Sleep(time.Minute)
		token, err = h.group.Refresh(t.Context(), appID, memcache.AccessToken, token.Value)
		require.NoError(t, err)
		_, err = h.group.Refresh(t.Context(), appID, memcache.AccessToken, token.Value)
		var e *keeper.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, hint.ReportOnce, e.Hint)

		require.NoError(t, h.group.SetAccounts([]keeper.Account{{
			AppID: "wxfile", Secret: func() (string, error) { return "", errors.New("no such file") },
		}}))
		synctest.Wait()
		assert.Equal(t, hint.SecretFile, h.group.States()[0].Err.Hint)

		h.keep(t, appID)
		synctest.Wait()
		time.Sleep(h.group.States()[0].RenewalIn - time.Millisecond)
		h.memcached.SetFault(memcachetest.Refuse)
		time.Sleep(time.Second)
		assert.Equal(t, hint.Memcached(nil), h.group.States()[0].Err.Hint)
	})
}
