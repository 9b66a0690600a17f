package systemtest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client/jssdk"
	"github.com/wxsidecar/wxsidecar/client/jssdk/jssdktest"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// signatures is the table of pages.
const signatures = root + "/client/testdata/signatures.json"

// signPHP runs the documented PHP for these pages. In its namespace the time and the nonce
// are those of the table, if it has a nonce. It returns for each page the result as JSON, or
// the message of the exception.
func signPHP(t *testing.T, extension, memcached, sidecar string, table jssdktest.Table) []string {
	t.Helper()
	php, err := exec.LookPath("php")
	require.NoError(t, err, "php is not installed: run .ci/setup")
	var pages []string
	for _, p := range table.Pages {
		pages = append(pages, base64.StdEncoding.EncodeToString([]byte(p.URL)))
	}
	list, err := json.Marshal(pages)
	require.NoError(t, err)
	fixed := ""
	if table.NonceStr != "" {
		fixed = fmt.Sprintf("function time() { return %d; } function md5() { return '%s'; }\n", table.Timestamp, table.NonceStr)
	}
	script := "namespace Documented; use Memcached, Memcache, InvalidArgumentException, RuntimeException;\n" +
		"error_reporting(E_ALL); ini_set('display_errors', 'stdout');\n" + fixed + phpOf(t, "wx_js_config", extension, memcached, sidecar) +
		"foreach (json_decode('" + string(list) + "') as $url) { try { echo json_encode(wx_js_config('" + appID + "', base64_decode($url)), JSON_UNESCAPED_SLASHES), \"\\n\"; }" +
		" catch (\\Exception $e) { echo 'refused: ', $e->getMessage(), \"\\n\"; } }"
	got, err := exec.Command(php, "-r", script).CombinedOutput()
	require.NoError(t, err, extension)
	lines := strings.Split(strings.TrimSpace(string(got)), "\n")
	require.Len(t, lines, len(table.Pages), string(got))
	return lines
}

// The documented PHP signs every page of the table as WeChat does, and refuses the others.
func TestDocsPHP_Signature(t *testing.T) {
	t.Parallel()
	table := jssdktest.Read(t, signatures)
	m := newRealMemcached(t)
	require.Equal(t, "STORED", m.Ask(t, fmt.Sprintf("set %s:jsapi_ticket 0 60 %d\r\n%s", appID, len(table.Ticket), table.Ticket)))
	closed := programtest.Address(t)
	for extension := range extensions {
		for i, line := range signPHP(t, extension, m.Address, closed, table) {
			p := table.Pages[i]
			if p.Refused {
				assert.Equal(t, "refused: not the address of a page", line, "%s, %s", extension, p.Name)
				continue
			}
			want, err := json.Marshal(jssdk.Config{
				AppID: appID, Timestamp: table.Timestamp, NonceStr: table.NonceStr, Signature: p.Signature, URL: p.Signed,
			})
			require.NoError(t, err)
			assert.JSONEq(t, string(want), line, "%s, %s", extension, p.Name)
		}
	}
}

// On a miss it signs with the sidecar's ticket, and as the API does. Without a ticket it
// throws the sidecar's error.
func TestDocsPHP_SignatureOnAMiss(t *testing.T) {
	t.Parallel()
	m := newRealMemcached(t)
	w, api := onLoopback(t, m.Address, "MEMCACHED_KEY_PREFIX=elsewhere:", "WECHAT_TICKETS=jsapi")
	eventually(t, func() bool { return len(w.WeChat.Tickets()) > 0 }, "a ticket")
	_, without := onLoopback(t, m.Address, "MEMCACHED_KEY_PREFIX=another:")
	page := jssdktest.Table{Pages: []jssdktest.Page{{URL: "https://example.com/?a=1&b=2#c"}}}
	for extension := range extensions {
		var got jssdk.Config
		require.NoError(t, json.Unmarshal([]byte(signPHP(t, extension, m.Address, api, page)[0]), &got), extension)
		ticket := w.WeChat.Tickets()[0].Token
		assert.Equal(t, jssdk.Signature(ticket, got.NonceStr, got.Timestamp, "https://example.com/?a=1&b=2"), got.Signature, extension)
		assert.Contains(t, signPHP(t, extension, m.Address, without, page)[0], "refused: 404: this sidecar does not keep the jsapi_ticket", extension)
	}
}
