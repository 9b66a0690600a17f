// Command bench measures wxsidecar side by side with the floor: what the same
// work costs without it. It prints two tables, Markdown, to stdout: one with all
// that was measured, and one with the rows of the documentation. What a sidecar
// costs its pod is TestBill's (make bill).
//
// Machines are noisy, so no number stands alone. What is compared takes turns in
// one run, in batches of a fraction of a second, A B B A A B …; each batch of A
// is divided by the batch of B beside it, and the table gives the median of these
// ratios with their quartiles, and both figures of the very round that has it.
// Where a row says "noise", the floor was measured twice, and that is what its two
// halves differ by.
//
// The bench starts what it needs: memcached, a fake WeChat over https, real
// sidecars, and two programs of nothing but net/http that stand beside them
// (floor, fetch), all built in the same run with the same flags.
//
//	go run .              all of it: 3 minutes, at most 12
//	go run . -quick       fewer and shorter batches: under a minute, at most 2
//	go run . -only read   one section; several: read,api
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Limits of a whole run, without the building: one that takes longer fails. A
// machine busy with something else takes twice as long as an idle one.
const (
	fullLimit  = 12 * time.Minute
	quickLimit = 2 * time.Minute
)

// section is some rows of the table that are measured together.
type section struct {
	name    string
	measure func(context.Context, *rig) ([]row, error)
	builds  bool // it needs the programs
}

var sections = []section{
	{"read", measureRead, false},
	{"local", measureLocal, false},
	{"api", measureAPI, true},
	{"herd", measureHerd, true},
	{"start", measureStart, true},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		_, _ = fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is the program. A goal that is missed is no error: the table says it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	quick := flags.Bool("quick", false, "fewer and shorter batches, under a minute")
	only := flags.String("only", "", "comma list of sections: "+strings.Join(names(), ", "))
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := choose(*only)
	if err != nil {
		return err
	}

	r, err := newRig(ctx, *quick, slices.ContainsFunc(chosen, func(s section) bool { return s.builds }))
	if err != nil {
		return err
	}
	defer r.close()
	limit := fullLimit
	if *quick {
		limit = quickLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	var rows []row
	for _, s := range chosen {
		start := time.Now()
		_, _ = fmt.Fprintf(stderr, "%s …", s.name)
		measured, err := s.measure(ctx, r)
		if err != nil {
			_, _ = fmt.Fprintln(stderr)
			return fmt.Errorf("measure %s: %w", s.name, err)
		}
		_, _ = fmt.Fprintf(stderr, " %.1f s\n", time.Since(start).Seconds())
		rows = append(rows, measured...)
	}
	if err := writeTable(stdout, rows); err != nil {
		return err
	}
	return writeBrief(stdout, rows)
}

func names() []string {
	all := make([]string, len(sections))
	for i, s := range sections {
		all[i] = s.name
	}
	return all
}

// choose is the sections of a comma list; all where it is empty.
func choose(only string) ([]section, error) {
	if only == "" {
		return sections, nil
	}
	var chosen []section
	for name := range strings.SplitSeq(only, ",") {
		at := slices.Index(names(), strings.TrimSpace(name))
		if at < 0 {
			return nil, fmt.Errorf("-only: there is no section %q; there are %s", name, strings.Join(names(), ", "))
		}
		chosen = append(chosen, sections[at])
	}
	return chosen, nil
}
