package sdktest

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/realmemcached"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// The control for the zeros of the table: with the AppSecret and without a sidecar, each
// program requests tokens from WeChat, and uses tokens that another one has invalidated.
func TestClass_WithoutSidecar(t *testing.T) {
	t.Parallel()
	s := &stage{world: &world{wechat: wechattest.New(), memcached: realmemcached.Start(t, "")}}
	s.wechat.AddAccount(appID, appSecret)
	s.wechat.SetGrace(time.Second)
	own := filepath.Join(t.TempDir(), "access_token.json")
	secret := fixed("APPSECRET="+appSecret, "TOKEN_FILE="+own)
	all := []*program{
		{name: "class, memcache", start: php("memcache", secret)},
		{name: "class, file", start: php("file", secret)},
		{name: "class, real time", start: php("realtime", secret)},
	}
	for _, p := range all {
		p.begin(t, s)
	}
	require.Eventually(t, func() bool {
		return all[0].endpoint.counts().invalid > 0 && all[1].endpoint.counts().invalid > 0
	}, patience, 10*time.Millisecond, "invalid tokens in memcached and in the file")
	for _, p := range all {
		p.end(t)
		assert.Positive(t, p.count.fetches, "%s requests", p)
	}
}
