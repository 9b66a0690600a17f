package systemtest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// quickStart returns the commands of the README's section "Quick start".
func quickStart(t *testing.T) string {
	t.Helper()
	_, section, found := strings.Cut(fileText(t, filepath.Join(root, "README.md")), "\n## Quick start\n")
	require.True(t, found, "README.md has no section Quick start")
	section, _, _ = strings.Cut(section, "\n## ")
	var commands []string
	for _, b := range codeBlocks(section) {
		if b.language == "sh" && !elsewhere.MatchString(b.text) {
			commands = append(commands, b.text)
		}
	}
	require.NotEmpty(t, commands)
	return strings.Join(commands, "")
}

var (
	// elsewhere are blocks that need a cluster, a container engine or root.
	elsewhere = regexp.MustCompile(`(?m)^(kubectl|docker|podman|sudo|make|git) `)
	// endless are commands that a user ends with Ctrl-C.
	endless = regexp.MustCompile(`(?m)^([^#\n]*(?:token --watch|sidecar demo))`)
)

// A user waits for /readyz, which says what is wrong. Beside a full memcached, a sidecar
// renews nothing for up to an hour, so a line of the log is nothing to wait for.
func TestQuickStart_WaitsForReadyz(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"README.md", "README.zh-CN.md", "docs/install/systemd.md", "docs/zh/install.md"} {
		text := fileText(t, filepath.Join(root, page))
		assert.Regexp(t, `(?m)^until curl -s --fail-with-body http://127\.0\.0\.1:7201/readyz; do sleep 1; done`, text, page)
		assert.NotContains(t, text, "token renewed", page)
	}
}

// What a new user types works: every command of the quick start ends with exit code 0
// on a machine whose WeChat is fake, and all of them together cost one request.
func TestQuickStart_EveryCommandSucceeds(t *testing.T) {
	t.Parallel()
	w, m := programtest.NewBackends(t), programtest.Address(t)
	api, dir := programtest.Address(t), programtest.ShortDir(t)
	for _, name := range []string{"go.mod", "go.sum", "sidecar", "memcache", "client"} { // as in a clone
		target, err := filepath.Abs(filepath.Join(root, name))
		require.NoError(t, err)
		require.NoError(t, os.Symlink(target, filepath.Join(dir, name)))
	}
	_, port, _ := strings.Cut(m, ":")
	script := quickStart(t)
	script = endless.ReplaceAllString(script, "timeout --foreground --preserve-status -s INT 2 $1")
	script = strings.NewReplacer(
		"memcached -l 127.0.0.1", "memcached -U 0 -l 127.0.0.1 -p "+port, "11211", port, "127.0.0.1:7200", api, "127.0.0.1:7201", w.Ops,
	).Replace(script)

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // it builds the program
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "-e", "-o", "pipefail", "/dev/fd/3")
	shell.Dir = dir
	shell.Env = append(os.Environ(),
		"WECHAT_BASE_URL="+w.WeChatURL, "MEMCACHED_SERVERS="+m, "SIDECAR_LISTEN="+api, "SIDECAR_URL=http://"+api, "SIDECAR_OPS_LISTEN="+w.Ops,
		"MEMCACHED_TIMEOUT=2s", "WECHAT_TIMEOUT=10s") // this machine is busy
	commands, err := os.Open(programtest.WriteFile(t, filepath.Join(dir, "commands.sh"), script))
	require.NoError(t, err)
	defer func() { _ = commands.Close() }()
	shell.ExtraFiles = []*os.File{commands}
	shell.Stdin = strings.NewReader(testSecret + "\n") // what the user pastes
	var screen programtest.Output
	shell.Stdout, shell.Stderr = &screen, &screen
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	shell.WaitDelay = time.Second // memcached and the sidecar hold the output open
	require.NoError(t, shell.Start())
	t.Cleanup(func() { _ = syscall.Kill(-shell.Process.Pid, syscall.SIGKILL) }) // what it left running
	_ = shell.Wait()                                                            // the exit code is what counts
	assert.Zero(t, shell.ProcessState.ExitCode(), "%s\n%s", script, programtest.Redact(screen.String()))
	assert.Equal(t, 1, w.WeChat.Requests("", ""), "all commands together cost one request")
}
