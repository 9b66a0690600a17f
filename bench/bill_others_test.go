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
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

var withOthers = flag.Bool("others", false, "measure other sidecars in the same run; builds them from the module proxy: minutes, the first time")

// other is a sidecar that teams run already, written in Go as this one. It is built
// with the same flags and started as its documentation says, with nothing beyond
// what it asks for. None of them calls anybody before it is used.
type other struct {
	name, module, version string
	args                  []string // %p: a port of its own; the first is the one that is asked
	path                  string   // answers 200 there once it is up
}

var others = []other{
	{
		name: "cloud-sql-proxy", module: "github.com/GoogleCloudPlatform/cloud-sql-proxy/v2", version: "v2.27.0", path: "/liveness",
		args: []string{"--health-check", "--http-port=%p", "--port=%p", "--lazy-refresh", "--token=none", "project:region:instance"},
	},
	{
		name: "oauth2-proxy", module: "github.com/oauth2-proxy/oauth2-proxy/v7", version: "v7.15.6", path: "/ping",
		args: []string{
			"--http-address=127.0.0.1:%p", "--provider=github", "--client-id=none", "--client-secret=none",
			"--cookie-secret=0123456789abcdef", "--email-domain=*", "--upstream=static://200",
		},
	},
	{
		name: "statsd_exporter", module: "github.com/prometheus/statsd_exporter", version: "v0.31.0", path: "/-/healthy",
		args: []string{"--web.listen-address=127.0.0.1:%p", "--statsd.listen-udp=127.0.0.1:%p", "--statsd.listen-tcp=127.0.0.1:%p"},
	},
}

// neighbour is another sidecar, and what it costs. Sizes are in MB, times in ms.
type neighbour struct {
	other
	program           string
	running           *server
	weight            weight
	rest, busy, start float64
}

// settle builds the others and starts each; none without -others.
func settle(t *testing.T, r *rig) []*neighbour {
	t.Helper()
	if !*withOthers {
		return nil
	}
	folder := filepath.Join(r.dir, "others")
	t.Setenv("GOBIN", folder)
	neighbours := make([]*neighbour, 0, len(others))
	for _, o := range others {
		t.Logf("go install %s@%s", o.module, o.version)
		_, err := goTool(t.Context(), "", "install", "-trimpath", "-ldflags", linkerFlags, o.module+"@"+o.version)
		require.NoError(t, err)
		n := &neighbour{other: o, program: filepath.Join(folder, o.name)}
		n.weight = weigh(t, n.program)
		n.running, err = n.launch(t.Context())
		require.NoError(t, err)
		t.Cleanup(n.running.kill)
		neighbours = append(neighbours, n)
	}
	return neighbours
}

// launch starts it on addresses of its own.
func (n *neighbour) launch(ctx context.Context) (*server, error) {
	s := &server{}
	args := make([]string, len(n.args))
	for i, arg := range n.args {
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
	s.process, err = start(ctx, []string{}, n.program, args...)
	return s, err
}

// title is how the table names it.
func (n *neighbour) title() string {
	if n.version == "" {
		return n.name
	}
	return "`" + n.name + "` " + n.version
}

func (n *neighbour) request() string {
	return "GET " + n.path + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
}

// answers is one start of it, to its first answer.
func (n *neighbour) answers(ctx context.Context) (float64, error) {
	s, err := n.launch(ctx)
	if err != nil {
		return 0, err
	}
	defer s.kill()
	at, err := s.firstAnswer(ctx, s.address, n.request())
	return float64(at.Sub(s.began)), err
}

// atRest notes its memory before and after requests.
func (n *neighbour) atRest(t *testing.T) {
	t.Helper()
	n.rest = memories(t, n.running.process)[0]
	n.busy = afterRequests(t, n.request(), n.running)[0]
}

// introduce prints the table of all.
func introduce(t *testing.T, all []*neighbour) {
	t.Helper()
	lines := make([][]string, len(all))
	for i, n := range all {
		lines[i] = []string{
			n.title(), fmt.Sprintf("%.1f / %.1f MB", n.weight.plain, n.weight.packed),
			fmt.Sprintf("%.1f MB", n.rest), fmt.Sprintf("%.1f MB", n.busy), fmt.Sprintf("%.1f ms", n.start),
		}
	}
	_, _ = fmt.Fprintf(os.Stdout, "\n%s, %s, %s/%s; each is started as:\n", time.Now().Format(time.DateOnly), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, o := range others {
		_, _ = fmt.Fprintf(os.Stdout, "    %s %s\n", o.name, strings.ReplaceAll(strings.Join(o.args, " "), "%p", "PORT"))
	}
	_, _ = fmt.Fprintln(os.Stdout)
	head := []string{"sidecar", "binary, and compressed", "private memory at rest", "after 10,000 requests", "exec to the first answer"}
	require.NoError(t, writeMarkdown(os.Stdout, head, lines))
}
