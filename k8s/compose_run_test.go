package k8s_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

const composeSecret = "canarysecret-of-the-compose-file"

// Without an engine, processes share the loopback as the containers do. Only the
// addresses of memcached, the secret and the listeners differ.
func TestCompose_CommandsGiveAToken(t *testing.T) {
	for name, files := range map[string][]string{
		"over the shared loopback": {composeFile}, "over the socket": {composeFile, composeSocket},
	} {
		t.Run(name, func(t *testing.T) {
			p := compose(t, files...)
			c := newComposed(t, p.Services["app"].Environment)
			sidecar := p.Services["wxsidecar"]
			c.spawn(t, sidecar.Environment, sidecar.Command...)

			health := sidecar.HealthCheck.Test
			require.Equal(t, []string{"CMD", "/sidecar"}, []string(health[:2]))
			require.Eventually(t, func() bool {
				check := exec.Command(c.program, health[2:]...)
				check.Env = c.environ(sidecar.Environment)
				return check.Run() == nil
			}, 20*time.Second, 50*time.Millisecond, "the health check passes")

			lines := c.spawn(t, p.Services["app"].Environment, p.Services["app"].Command...)
			line, err := lines.ReadString('\n')
			require.NoError(t, err)
			assert.Regexp(t, `^\d\d:\d\d:\d\d `+c.appID+`  [0-9a-f]{8}  from (memcached|sidecar) `, line)
			assert.Equal(t, 1, c.wechat.Requests("", ""))
		})
	}
}

// composed is the environment of a compose file's services.
type composed struct {
	program string
	appID   string
	wechat  *wechattest.Server
	where   *strings.Replacer
	more    []string // other values for defaults
}

func newComposed(t *testing.T, app types.MappingWithEquals) *composed {
	t.Helper()
	c := &composed{program: filepath.Join(t.TempDir(), "sidecar"), appID: *app["WECHAT_APPID"], wechat: wechattest.New()}
	build := exec.Command("go", "build", "-o", c.program, "./sidecar")
	build.Dir = ".."
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	c.wechat.AddAccount(c.appID, composeSecret)
	url, stop, err := c.wechat.ListenHTTP()
	require.NoError(t, err)
	t.Cleanup(stop)
	folder, err := os.MkdirTemp("", "wx") //nolint:usetesting // t.TempDir's names are too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(folder)) })
	secret := filepath.Join(folder, "appsecret")
	require.NoError(t, os.WriteFile(secret, []byte(composeSecret+"\n"), 0o600))
	c.where = strings.NewReplacer(
		"memcached:11211", serveMemcached(t, c.appID, ""), "/run/secrets/appsecret", secret, "/run/wxsidecar", folder)
	api := freeAddress(t)
	c.more = []string{"WECHAT_BASE_URL=" + url, "SIDECAR_OPS_LISTEN=" + freeAddress(t), "SIDECAR_LISTEN=" + api, "SIDECAR_URL=http://" + api}
	return c
}

// environ returns a service's variables. Those of the file come last, so they win.
func (c *composed) environ(service types.MappingWithEquals) []string {
	environ := append([]string{}, c.more...)
	for name, value := range service {
		environ = append(environ, name+"="+c.where.Replace(*value))
	}
	return environ
}

// spawn runs the image's program as a service does, until the test ends.
func (c *composed) spawn(t *testing.T, service types.MappingWithEquals, args ...string) *bufio.Reader {
	t.Helper()
	command := exec.Command(c.program, args...)
	command.Env = c.environ(service)
	stdout, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait() // killed
	})
	return bufio.NewReader(stdout)
}

// freeAddress returns a TCP address that no program uses.
func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := programtest.FreeAddress()
	require.NoError(t, err)
	return address
}
