//go:build bill

package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/bench/program"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

var withOthers = flag.Bool("others", false, "measure other sidecars in the same run; builds them from the module proxy: minutes, the first time")

// other is a sidecar in Go that teams use already. It is built with the same flags and
// started as its documentation says, with the arguments that it requires. None of
// them makes a request before it is used.
type other struct {
	name, module, version string
	args                  []string // %p: a port of its own, the first one for the health check
	health                string   // the path of the health check
}

var others = []other{
	{
		name: "cloud-sql-proxy", module: "github.com/GoogleCloudPlatform/cloud-sql-proxy/v2", version: "v2.27.0", health: "/liveness",
		args: []string{"--health-check", "--http-port=%p", "--port=%p", "--lazy-refresh", "--token=none", "project:region:instance"},
	},
	{
		name: "oauth2-proxy", module: "github.com/oauth2-proxy/oauth2-proxy/v7", version: "v7.15.6", health: "/ping",
		args: []string{
			"--http-address=127.0.0.1:%p", "--provider=github", "--client-id=none", "--client-secret=none",
			"--cookie-secret=0123456789abcdef", "--email-domain=*", "--upstream=static://200",
		},
	},
	{
		name: "statsd_exporter", module: "github.com/prometheus/statsd_exporter", version: "v0.31.0", health: "/-/healthy",
		args: []string{"--web.listen-address=127.0.0.1:%p", "--statsd.listen-udp=127.0.0.1:%p", "--statsd.listen-tcp=127.0.0.1:%p"},
	},
}

// measured is a sidecar of the table of others. Sizes are in MB, times in ms.
type measured struct {
	other
	path              string // of the program
	running           *server
	size              size
	idle, busy, start float64
}

// startOthers builds the others and starts each; none without -others.
func startOthers(t *testing.T, f *fixture) []*measured {
	t.Helper()
	if !*withOthers {
		return nil
	}
	folder := f.program("others")
	t.Setenv("GOBIN", folder)
	all := make([]*measured, 0, len(others))
	for _, o := range others {
		t.Logf("go install %s@%s", o.module, o.version)
		_, err := program.Go(t.Context(), "install", "-trimpath", "-ldflags", program.LinkerFlags, o.module+"@"+o.version)
		require.NoError(t, err)
		m := &measured{other: o, path: filepath.Join(folder, o.name)}
		m.size = sizeOf(t, m.path)
		m.running, err = m.launch(t.Context())
		require.NoError(t, err)
		t.Cleanup(m.running.Kill)
		all = append(all, m)
	}
	return all
}

// launch starts it on addresses of its own.
func (m *measured) launch(ctx context.Context) (*server, error) {
	s := &server{}
	args := make([]string, len(m.args))
	for i, arg := range m.args {
		if args[i] = arg; !strings.Contains(arg, "%p") {
			continue
		}
		address, err := programtest.FreeAddress()
		if err != nil {
			return nil, err
		}
		args[i] = strings.ReplaceAll(arg, "%p", address[strings.LastIndexByte(address, ':')+1:])
		if s.address == "" {
			s.address = address
		}
	}
	var err error
	s.Process, err = program.Start(ctx, nil, m.path, args...)
	return s, err
}

func (m *measured) request() string {
	return "GET " + m.health + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
}

// firstAnswer returns the time from exec to its first answer.
func (m *measured) firstAnswer(ctx context.Context) (float64, error) {
	s, err := m.launch(ctx)
	if err != nil {
		return 0, err
	}
	return s.start(ctx, s.address, m.request())
}

// printOthers prints the table of all.
func printOthers(t *testing.T, all []*measured) {
	t.Helper()
	lines := [][]string{{"sidecar", "binary, and compressed", "idle private memory", "after 10,000 requests", "exec to the first answer"}}
	for _, m := range all {
		name := m.name
		if m.version != "" {
			name = "`" + m.name + "` " + m.version
		}
		lines = append(lines, []string{
			name, fmt.Sprintf("%.1f / %.1f MB", m.size.plain, m.size.packed),
			fmt.Sprintf("%.1f MB", m.idle), fmt.Sprintf("%.1f MB", m.busy), fmt.Sprintf("%.1f ms", m.start),
		})
	}
	_, _ = fmt.Fprintf(os.Stdout, "\n%s, %s, %s/%s; each is started as:\n", time.Now().Format(time.DateOnly), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, o := range others {
		_, _ = fmt.Fprintf(os.Stdout, "    %s %s\n", o.name, strings.ReplaceAll(strings.Join(o.args, " "), "%p", "PORT"))
	}
	_, _ = fmt.Fprintf(os.Stdout, "\n%s", program.Markdown(0, lines))
}
