package k8s_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The files for Docker Compose.
const (
	composeFile   = "../docs/install/compose.yaml"
	composeSocket = "../docs/install/compose.socket.yaml"
)

// compose reads files as `docker compose config` does. Compose's own library checks
// them against the specification's schema, without an engine.
func compose(t *testing.T, files ...string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions(files, cli.WithResolvedPaths(true), cli.WithEnv(nil))
	require.NoError(t, err)
	project, err := options.LoadProject(t.Context())
	require.NoError(t, err)
	return project
}

func TestCompose_MisspelledWordFails(t *testing.T) {
	text := string(read(t, composeFile))
	for word, misspelt := range map[string]string{"network_mode": "networkmode", "healthcheck": "healtcheck", "condition: service_started": "condition: service_begun"} {
		require.Contains(t, text, word)
		file := filepath.Join(t.TempDir(), "compose.yaml")
		require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(text, word, misspelt)), 0o600))
		options, err := cli.NewProjectOptions([]string{file})
		require.NoError(t, err)
		_, err = options.LoadProject(t.Context())
		assert.Error(t, err, misspelt)
	}
}

func TestCompose_SharedLoopback(t *testing.T) {
	p := compose(t, composeFile)
	app, sidecar := p.Services["app"], p.Services["wxsidecar"]
	assert.Equal(t, "service:app", sidecar.NetworkMode)
	assert.True(t, sidecar.DependsOn["app"].Restart, "a restarted app has another namespace")
	assert.Empty(t, sidecar.Ports, "Compose refuses ports of a service that has another's network")
	assertOpsPort(t, app)
	assert.Nil(t, app.Environment["SIDECAR_URL"], "the client's default is the sidecar's")
	assert.Nil(t, sidecar.Environment["SIDECAR_LISTEN"])
	assertComposed(t, p)
}

func TestCompose_SocketAndOwnNetwork(t *testing.T) {
	p := compose(t, composeFile, composeSocket)
	app, sidecar := p.Services["app"], p.Services["wxsidecar"]
	assert.Empty(t, sidecar.NetworkMode)
	assert.NotContains(t, sidecar.DependsOn, "app")
	assert.Empty(t, app.Ports)
	assertOpsPort(t, sidecar)
	require.NotNil(t, app.Environment["SIDECAR_URL"])
	assert.Equal(t, *app.Environment["SIDECAR_URL"], *sidecar.Environment["SIDECAR_LISTEN"])
	folder := filepath.Dir(strings.TrimPrefix(*sidecar.Environment["SIDECAR_LISTEN"], "unix://"))
	require.Len(t, app.Volumes, 1)
	require.Len(t, sidecar.Volumes, 1)
	assert.Equal(t, folder, app.Volumes[0].Target)
	assert.Equal(t, folder, sidecar.Volumes[0].Target)
	assert.False(t, sidecar.Volumes[0].ReadOnly, "the sidecar creates the socket")
	assert.Equal(t, app.Volumes[0].Source, sidecar.Volumes[0].Source)
	assert.Equal(t, []string{user}, app.GroupAdd)
	assert.Contains(t, p.Volumes["run"].DriverOpts["o"], "uid="+user+",gid="+user)
	assertComposed(t, p)
}

// user is the image's user in ../Dockerfile.
const user = "65532"

// assertOpsPort asserts that only this machine reaches the status page.
func assertOpsPort(t *testing.T, s types.ServiceConfig) {
	t.Helper()
	require.Len(t, s.Ports, 1)
	assert.Equal(t, "127.0.0.1", s.Ports[0].HostIP)
	assert.EqualValues(t, opsPort, s.Ports[0].Target)
}

// assertComposed asserts what both setups have in common.
func assertComposed(t *testing.T, p *types.Project) {
	t.Helper()
	app, sidecar := p.Services["app"], p.Services["wxsidecar"]
	assert.Equal(t, []string{user + ":" + user}, words(t, "../Dockerfile", `(?m)^USER (.*)$`))
	assert.Equal(t, *app.Environment["MEMCACHED_SERVERS"], *sidecar.Environment["MEMCACHED_SERVERS"])
	assert.Contains(t, p.Services, strings.TrimSuffix(*app.Environment["MEMCACHED_SERVERS"], ":11211"))
	assert.Equal(t, *app.Environment["WECHAT_APPID"], *sidecar.Environment["WECHAT_APPID"])
	require.Len(t, sidecar.Secrets, 1)
	assert.Equal(t, "/run/secrets/"+sidecar.Secrets[0].Source, *sidecar.Environment["WECHAT_APPSECRET_FILE"])
	assert.Empty(t, app.Secrets, "the app needs no AppSecret")
	assert.Contains(t, string(read(t, "../.gitignore")), filepath.Base(p.Secrets["appsecret"].File))
	assert.True(t, sidecar.ReadOnly)
	assert.Equal(t, []string{"ALL"}, sidecar.CapDrop)
	assert.Equal(t, fmt.Sprintf("%dMiB", sidecar.MemLimit>>20), *sidecar.Environment["GOMEMLIMIT"])
	known := append(words(t, "../sidecar/config.go", `env:"([A-Z_]+)"`), words(t, "../client/config_env.go", `"([A-Z]+_[A-Z_]+)"`)...)
	known = append(known, "GOMEMLIMIT") // Go's own
	for _, s := range []types.ServiceConfig{app, sidecar} {
		for name := range s.Environment {
			assert.Contains(t, known, name)
		}
	}
}
