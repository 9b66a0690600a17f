package wechat_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// Observe is called for each Fetch, with its time and failure.
func TestObserve_TimeAndFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := wechattest.New()
		fake.AddAccount(appID, secret)
		transport, stop := fake.Pipe()
		defer stop()
		var requests []wechat.Request
		var took []time.Duration
		var failures []error
		client, err := wechat.New(wechat.Config{
			BaseURLs: []string{"http://127.0.0.1"}, Transport: transport,
			Observe: func(r wechat.Request, d time.Duration, failure error) {
				requests = append(requests, r)
				took = append(took, d)
				failures = append(failures, failure)
			},
		})
		require.NoError(t, err)
		fake.OnRequest(func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Delay: 70 * time.Millisecond} })
		_ = must(client.Fetch(t.Context(), wechat.Request{API: wechat.Token, AppID: appID, Secret: secret}))(t)
		fake.OnRequest(func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Errcode: 40164} })
		_, err = client.Fetch(t.Context(), wechat.Request{API: wechat.Token, AppID: appID, Secret: secret})
		require.Error(t, err)
		assert.Equal(t, []string{"token of " + appID, "token of " + appID}, []string{requests[0].String(), requests[1].String()})
		assert.Equal(t, []time.Duration{70 * time.Millisecond, 0}, took)
		assert.Equal(t, []error{nil, err}, failures)
	})
}

// Documented is true only for errcodes of known meaning.
func TestDocumented_KnownErrcodes(t *testing.T) {
	for _, code := range []int{-1, 40001, 40164, 89507} {
		assert.True(t, wechat.Documented(code), "%d", code)
	}
	for _, code := range []int{0, -2, 1, 99999} {
		assert.False(t, wechat.Documented(code), "%d", code)
	}
}
