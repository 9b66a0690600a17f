package hint_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// Every errcode has a hint in both languages, the unknown ones included. Of all other
// hints the compiler asks for both.
func TestHint_OfEveryErrcode(t *testing.T) {
	for code := -100; code < 100_000; code++ {
		h := wechat.Hint(code, "")
		require.NotEmpty(t, h.English, code)
		require.True(t, strings.ContainsFunc(h.Chinese, func(r rune) bool { return unicode.Is(unicode.Han, r) }), "%d: %s", code, h.Chinese)
		require.Equal(t, wechat.Documented(code) || code < 0, h != hint.UnknownCode(code), code)
	}
}

// The address that WeChat saw stands in the hint.
func TestWhitelist_NamesTheAddress(t *testing.T) {
	h := wechat.Hint(40164, "invalid ip 203.0.113.7, not in whitelist")
	assert.Contains(t, h.English, "add the address 203.0.113.7 to")
	assert.Contains(t, h.Chinese, "出口 IP 203.0.113.7 加入该账号的 IP 白名单")
	assert.Contains(t, hint.PlatformWhitelist("").Chinese, "微信看到的出口 IP 加入第三方平台")
}

// A memcached that cannot be reached may be behind the NetworkPolicy of the manifests.
// Every known cause has a hint of its own.
func TestMemcached_NamesTheCause(t *testing.T) {
	policy, err := os.ReadFile("../../k8s/networkpolicy/memcached.yaml")
	require.NoError(t, err)
	const label = `wxsidecar/reader: "true"`
	require.Contains(t, string(policy), label)
	unreached := hint.Memcached(errors.New("dial tcp: i/o timeout"))
	for _, text := range []string{unreached.English, unreached.Chinese} {
		for _, cause := range []string{"MEMCACHED_SERVERS", "namePrefix", "NetworkPolicy", label, "includeSelectors"} {
			assert.Contains(t, text, cause)
		}
	}
	seen := map[hint.Hint]bool{unreached: true}
	for _, cause := range []error{
		memcache.ErrUnauthenticated, memcache.ErrPassword, memcache.ErrTLS, memcache.ErrNoTLS, memcache.ErrCA, memcache.ErrCertificateName,
		memcache.ErrCertificate, memcache.ErrHandshake, memcache.ErrFile, memcache.ErrClosed, memcache.ErrSilent, memcache.ErrConnections,
		memcache.ErrMemory, memcache.ErrBackend, memcache.ErrServer,
	} {
		h := hint.Memcached(fmt.Errorf("poll: %w", cause))
		assert.False(t, seen[h], "%v: %s", cause, h)
		seen[h] = true
	}
}

// A hint in JSON is its English words.
func TestHint_JSON(t *testing.T) {
	text, err := json.Marshal(hint.Folder)
	require.NoError(t, err)
	assert.Equal(t, `"check the folder of MIRROR_FILE"`, string(text))
	var read hint.Hint
	require.NoError(t, json.Unmarshal(text, &read))
	assert.Equal(t, hint.Hint{English: hint.Folder.English}, read)
}
