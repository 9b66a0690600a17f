package systemtest

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// noSecret is what programs beside a sidecar send as the AppSecret.
const noSecret = "none"

// realTime is the program of testdata/realtime.php while it runs.
type realTime struct {
	in  io.Writer
	out *bufio.Scanner
}

// newRealTime starts it. Tokens come from one address, everything else from api.
func newRealTime(t *testing.T, tokens, api, secret string) *realTime {
	t.Helper()
	php, err := exec.LookPath("php")
	require.NoError(t, err, "php is not installed: run .ci/setup")
	command := exec.Command(php, "-d", "error_reporting=-1", "-d", "display_errors=stderr", filepath.Join("testdata", "realtime.php"),
		tokens, api, appID, secret)
	in, lines, _ := converse(t, command)
	return &realTime{in, lines}
}

// does sends the program a command and returns what it prints.
func (p *realTime) does(t *testing.T, what string) string {
	t.Helper()
	_, err := io.WriteString(p.in, what+"\n")
	require.NoError(t, err)
	require.True(t, p.out.Scan(), "the program ended")
	return p.out.Text()
}

// plainHTTP requests a token without a library, uses it and returns the errcode.
func plainHTTP(t *testing.T, tokens, api string, stable bool) int {
	t.Helper()
	ask := func(method, url, body string) (answer struct {
		Token string `json:"access_token"`
		Code  int    `json:"errcode"`
	},
	) {
		req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
		return answer
	}
	got := ask(http.MethodGet, tokens+"/cgi-bin/token?grant_type=client_credential&appid="+appID, "")
	if stable {
		got = ask(http.MethodPost, tokens+"/cgi-bin/stable_token", `{"grant_type":"client_credential","appid":"`+appID+`","force_refresh":true}`)
	}
	if got.Token == "" {
		return got.Code
	}
	return ask(http.MethodGet, api+"/cgi-bin/user/get?access_token="+got.Token, "").Code
}

// newWeChat is a fake WeChat with an account, over https for sidecars and over
// plain HTTP for programs.
func newWeChat(t *testing.T) (wx *wechattest.Server, secure []string, plain string) {
	t.Helper()
	wx = wechattest.New()
	wx.AddAccount(appID, testSecret)
	url, certificate, stop, err := wx.ListenTLS()
	require.NoError(t, err)
	t.Cleanup(stop)
	plain, stop, err = wx.ListenHTTP()
	require.NoError(t, err)
	t.Cleanup(stop)
	trusted := programtest.WriteFile(t, filepath.Join(t.TempDir(), "ca.pem"), string(certificate))
	return wx, []string{"WECHAT_BASE_URL=" + url, "SSL_CERT_FILE=" + trusted}, plain
}

// Without a sidecar, such a program fetches a token for each call and needs the AppSecret.
func TestCompat_WithoutSidecarEachCallFetches(t *testing.T) {
	t.Parallel()
	wx, _, plain := newWeChat(t)
	program := newRealTime(t, plain, plain, testSecret)
	for range 5 {
		assert.Equal(t, "0", program.does(t, "call"))
	}
	assert.Equal(t, 5, wx.Requests(appID, "token"))
	assert.Equal(t, 5, wx.Issues(appID), "each invalidates the token before")
	assert.Equal(t, "40125", newRealTime(t, plain, plain, noSecret).does(t, "call"), "and needs the AppSecret")
}

// Programs that fetch a token for each call need only another address: over renewals
// each token is valid, and the sidecar alone makes requests.
func TestCompat_ProgramsNeedOnlyAnotherAddress(t *testing.T) {
	t.Parallel()
	const renewals = 2
	wx, secure, api := newWeChat(t)
	wx.SetExpiresIn(12 * time.Second) // renewed after 6
	memcached, listen := newRealMemcached(t), programtest.Address(t)
	sidecar := spawn(t, append(secure, "WECHAT_APPID="+appID, "WECHAT_APPSECRET="+testSecret, "WECHAT_TICKETS=jsapi",
		"MEMCACHED_SERVERS="+memcached.Address, "SIDECAR_LISTEN="+listen, "SIDECAR_OPS_LISTEN=off", "SIDECAR_COMPAT=true", "LOG_LEVEL=debug"))
	eventually(t, func() bool { return programtest.Entry(t, memcached.store) != "" }, "an entry")

	program := newRealTime(t, "http://"+listen, api, noSecret)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	uses := 0
	for end := time.Now().Add(time.Minute); wx.Issues(appID) <= renewals && time.Now().Before(end); <-tick.C {
		require.Equal(t, "0", program.does(t, "call"))
		code, hash, _ := strings.Cut(program.does(t, "ticket"), " ")
		require.Equal(t, "0", code)
		require.True(t, takesTicket(wx, hash), "the ticket is valid")
		require.Zero(t, plainHTTP(t, "http://"+listen, api, false))
		require.Zero(t, plainHTTP(t, "http://"+listen, api, true))
		uses += 4
	}
	require.Greater(t, wx.Issues(appID), renewals)
	for kind, name := range map[string]string{"token": "access_token", "jsapi": "jsapi_ticket"} {
		eventually(t, func() bool { return renewed(sidecar, name) == wx.Requests("", kind) }, "the sidecar made every request for "+name)
	}
	assert.Zero(t, wx.Requests("", "stable_token"))
	t.Logf("%d uses over %d renewals: 0 invalid tokens, %d requests to WeChat, all of the sidecar", uses, renewals, wx.Requests("", "token"))
	assert.Equal(t, exitFine, sidecar.terminates(t))
	programtest.AssertNoCanary(t, sidecar.Stderr.String())
	assert.NotContains(t, sidecar.Stderr.String(), "grant_type", "no query is logged")
}

// renewed counts the renewals in a sidecar's log.
func renewed(sidecar *process, kind string) int {
	n := 0
	for line := range strings.SplitSeq(sidecar.Stderr.String(), "\n") {
		if strings.Contains(line, `"event":"token_renewed"`) && strings.Contains(line, `"kind":"`+kind+`"`) {
			n++
		}
	}
	return n
}

// takesTicket reports whether the ticket with this SHA-256 is valid.
func takesTicket(wx *wechattest.Server, hash string) bool {
	for _, ticket := range wx.Tickets() {
		if sha256Of(ticket.Token) == hash {
			return wx.AcceptsTicket(ticket.Token) == 0
		}
	}
	return false
}

// If a bearer token is configured, programs send it as the AppSecret.
func TestCompat_BearerReplacesAppSecret(t *testing.T) {
	t.Parallel()
	wx, secure, api := newWeChat(t)
	listen, bearer := programtest.Address(t), "canarysecret-bearer"
	file := programtest.WriteFile(t, filepath.Join(t.TempDir(), "bearer"), bearer+"\n")
	spawn(t, append(secure, "WECHAT_APPID="+appID, "WECHAT_APPSECRET="+testSecret, "WECHAT_TICKETS=jsapi", "MEMCACHED_SERVERS="+newRealMemcached(t).Address,
		"SIDECAR_LISTEN="+listen, "SIDECAR_OPS_LISTEN=off", "SIDECAR_COMPAT=true", "SIDECAR_AUTH_TOKEN_FILE="+file))
	eventually(t, func() bool { return len(wx.Tickets()) > 0 }, "a token and a ticket")
	program := newRealTime(t, "http://"+listen, api, bearer)
	assert.Equal(t, "0", program.does(t, "call"))
	code, hash, _ := strings.Cut(program.does(t, "ticket"), " ")
	assert.Equal(t, "0", code)
	assert.True(t, takesTicket(wx, hash))
	assert.Equal(t, "40125", newRealTime(t, "http://"+listen, api, testSecret).does(t, "call"), "the AppSecret is refused")
	assert.Equal(t, 1, wx.Requests("", "token"))
}
