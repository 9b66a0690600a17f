// Command chaos hurts a fleet of wxsidecar in every way that we could think of and
// says what became of its six promises: one call, never dead, never backwards,
// never nothing, never leaked, bounded.
//
// Everything is real: memcached, eight sidecar processes, each with a mount
// namespace of its own, readers in Go and PHP. Between each sidecar's pod and
// memcached, and between all of them and WeChat, stands a proxy that delays,
// stalls, cuts and resets. WeChat is wechattest over https. A token lives
// 240 s instead of two hours, and the one before a renewal works for 120 s more
// instead of 300: the least for which the protocol's own times (a poll every 15 s,
// a lease of 15 s, a claim of 75 s) still fit. Sixteen accounts that came one
// after the other make a renewal about every eight seconds.
//
// Each fault has its turn, then comes a calm that lasts until all has healed: in
// memcached lies, for each account, the last token that WeChat issued, and no
// sidecar misses anything; then each sidecar remembers it too. WeChat says of every read, in the moment of the read,
// whether its token is alive. At the end stands a page of Markdown on stdout, and in
// -out in English and Chinese: what docs/chaos.md and its Chinese twin are. The
// journal of all that happened is on stderr and in -out, and so is what each call
// to WeChat was for.
//
//	go run .             all of them, some twice: 26 minutes
//	go run . -minutes 2  a few of them, shorter
//	go run . -only 'a|b' the faults whose names match
//
// It exits with 1 where a promise was broken. It needs Linux, memcached, PHP with
// both extensions, and root or user namespaces: it mounts a hosts file and a disk
// of 128 KB for each sidecar, which nobody else sees. Only loopback is contacted.
//
// It is a module of its own, because toxiproxy brings a dozen others that neither
// users nor `make bench` should have to fetch.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		_, _ = fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// run is the program. An error is a promise that was broken, or a fault that could
// not be brought about.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(stderr)
	minutes := flags.Int("minutes", fullMinutes, "under 26, only a few faults, shorter; 4 more are the limit")
	only := flags.String("only", "", "only the faults whose names match this regular expression")
	out := flags.String("out", filepath.Join(os.TempDir(), "wxsidecar-chaos"), "the folder for the page, the journal and the logs")
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
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it took longer than %s", limit))
	defer cancel()

	w, err := newWorld(ctx, *out, stderr, p.firstLife())
	if err != nil {
		return err
	}
	defer w.close()
	err = w.live(ctx, p, *minutes)
	if w.watch == nil {
		return err
	}
	return errors.Join(err, w.report(stdout)) // the page of a run that broke off tells most
}

// overtime is what may come on top: the building, and healing that takes long.
const overtime = 4 * time.Minute
