// Command bench measures wxsidecar beside the floor: what the same work costs
// without it. It prints a table, Markdown, to stdout and notes to stderr. TestBill
// (make bill) measures what a sidecar costs its pod.
//
// The two that are compared take turns in one run, in batches of a fraction of a
// second: A B B A A B … The ratio in the table is the median of the ratios of a batch
// of A to the batch of B beside it. The two figures beside the ratio are those of the
// round that has it. The notes have the quartiles.
//
// The bench starts what it needs: memcached, a fake WeChat over https, real
// sidecars, and two programs of nothing but net/http (floor, fetch), all built in
// the same run with the same flags.
//
//	go run .              all of it: 3 minutes, at most 12
//	go run . -quick       fewer and shorter batches: under a minute, at most 2
//	go run . -only read   the sections whose names contain this
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/bench/program"
)

// Limits of a whole run without the building. A busy machine takes twice as long as
// an idle one.
const (
	fullLimit  = 12 * time.Minute
	quickLimit = 2 * time.Minute
)

// section is some rows of the table that are measured together.
type section struct {
	name    string
	measure func(context.Context, *fixture) ([]row, error)
	builds  bool // it needs the programs
}

var sections = []section{
	{"read", measureRead, false},
	{"local", measureLocal, false},
	{"api", measureAPI, true},
	{"miss", measureMiss, true},
	{"start", measureStart, true},
}

func main() { program.Main("bench", run) }

// run is the program. A missed goal is not an error: the table says it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	quick := flags.Bool("quick", false, "fewer and shorter batches, under a minute")
	only := flags.String("only", "", "the sections whose names contain this: read, local, api, miss, start")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen := slices.DeleteFunc(slices.Clone(sections), func(s section) bool { return !strings.Contains(s.name, *only) })
	if len(chosen) == 0 {
		return fmt.Errorf("-only: no section contains %q; use read, local, api, miss or start", *only)
	}
	f, err := newFixture(ctx, *quick, slices.ContainsFunc(chosen, func(s section) bool { return s.builds }), stderr)
	if err != nil {
		return err
	}
	defer f.close()
	limit := fullLimit
	if *quick {
		limit = quickLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	var rows []row
	for _, s := range chosen {
		start := time.Now()
		measured, err := s.measure(ctx, f)
		if err != nil {
			return fmt.Errorf("measure %s: %w", s.name, err)
		}
		_, _ = fmt.Fprintf(stderr, "%s measured in %.1f s\n", s.name, time.Since(start).Seconds())
		rows = append(rows, measured...)
	}
	_, err = io.WriteString(stdout, table(rows))
	return err
}
