// Command chaos injects faults into eight real sidecars and judges the six
// invariants of docs/protocol.md.
//
// Everything is real: memcached, eight sidecar processes, each with a mount
// namespace of its own, and readers in Go and PHP. A proxy between each sidecar and
// memcached, and between all sidecars and WeChat, delays, stalls, cuts and resets
// connections. WeChat is wechattest over https. A token lives 240 s instead of two
// hours, and works for 120 s after a renewal instead of 300: the least for which the
// protocol's own times (a poll every 15 s, a claim of 75 s) still fit.
//
// The faults run one after the other. After each fault the run waits until memcached
// holds the last token that WeChat issued for each account, every sidecar is ready,
// and every sidecar remembers that token. WeChat says of every read, at the moment of
// the read, whether its token is valid.
//
// The report goes to stdout and to report.md in -out. It is a section of
// docs/benchmarks.md. journal.log has all that happened, and requests.log the cause of
// each request to WeChat. Wall clocks that jump are a test in virtual time instead:
// sidecar/keeper/sim/clock_test.go.
//
//	go run .             all faults: 26 minutes
//	go run . -minutes 2  a few faults, shorter
//	go run . -only 'a|b' the faults whose names match
//
// The exit code is 1 if an invariant was broken, or if a fault could not be
// injected. The program needs Linux, memcached, PHP with both extensions, and root or
// user namespaces. It connects to loopback addresses only. It is a module of its own
// because toxiproxy has a dozen dependencies.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/wxsidecar/wxsidecar/bench/program"
)

func main() { program.Main("chaos", run) }

// overtime is added to the limit of a run: for the build, and for slow healing.
const overtime = 4 * time.Minute

// run is the program. It returns an error if an invariant was broken, or if a fault
// could not be injected.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(stderr)
	minutes := flags.Int("minutes", fullMinutes, "below 26: only a few faults, shorter; the run ends 4 minutes later at the latest")
	only := flags.String("only", "", "only the faults whose names match this regular expression")
	out := flags.String("out", filepath.Join(os.TempDir(), "wxsidecar-chaos"), "the folder for the report, the journal and the logs")
	if err := flags.Parse(args); err != nil {
		return err
	}
	p, err := planned(*minutes, *only)
	if err != nil {
		return err
	}
	if err = os.MkdirAll(*out, 0o750); err != nil {
		return err
	}
	limit := time.Duration(*minutes)*time.Minute + overtime
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the run took longer than %s", limit))
	defer cancel()
	h, err := newHarness(ctx, *out, stderr, p.firstLife())
	if err != nil {
		return err
	}
	defer h.close()
	err = h.run(ctx, p)
	return errors.Join(err, h.report(stdout)) // the report of a run that broke off says most
}
