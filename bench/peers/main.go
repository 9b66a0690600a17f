// Command peers measures wxsidecar beside what teams use today: fleets of 1, 4 and
// 16 pods with four workers each, through a cold start, a renewal, a rejected
// token, a restart of memcached and its absence. It counts requests to WeChat,
// invalid tokens that a worker got, errors, and how long a worker waited.
//
//	go run .                              all of it: about 12 minutes, at most 20
//	go run . -docs ../../docs             and writes the tables and the chart of benchmarks.md
//	go run . -keep figures.json           and keeps the figures
//	go run . -draw figures.json           measures nothing: uses kept figures
//	go run . -only stable                 the contestants whose names contain this
//
// docs/benchmarks.md says what each contestant is and what happens in each
// situation. The rules of fairness:
//
//   - Each contestant is used as its documentation says, with its own defaults.
//     SDKs run unchanged: http.DefaultTransport (curl, in PHP) dials the fake for
//     api.weixin.qq.com and checks its certificate.
//   - Everything runs on WeChat's own figures, 7,200 s and 300 s, except the first
//     token of the renewal if a contestant keeps time in its own process. Time that
//     must pass in memcached passes by its touch command, in WeChat by its clock.
//   - A token is invalid if WeChat refuses it when the worker uses it.
//   - Each fleet has a WeChat and a memcached of its own, and one fleet runs at a time.
//   - A rule that favours somebody does not favour wxsidecar: the quotas are lifted,
//     requests skipped with the clock do not count, a sidecar's start counts as a wait.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/bench/program"
)

// limit is that of a whole run, without the building.
const limit = 20 * time.Minute

// What a whole run measures.
const (
	workersOfAPod = 4
	window        = 2500 * time.Millisecond
	later         = time.Second
)

var podsOfARun = []int{1, 4, 16}

func main() { program.Main("peers", run) }

// run is the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	flags.SetOutput(stderr)
	keep := flags.String("keep", "", "write the figures to this file")
	draw := flags.String("draw", "", "measure nothing: use the figures of this file, which -keep wrote")
	docs := flags.String("docs", "", "write the tables of benchmarks.md, and benchmarks.svg, in this folder")
	only := flags.String("only", "", "measure the contestants whose names contain this, and print their figures alone")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *draw != "" {
		r, err := load(*draw)
		if err != nil {
			return err
		}
		return publish(r, *docs, stdout)
	}
	r, err := measureAll(ctx, *only, stderr)
	if err != nil {
		return err
	}
	if *keep != "" {
		if err := r.keep(*keep); err != nil {
			return err
		}
	}
	if *only != "" {
		_, err := io.WriteString(stdout, situationTable(r, *only))
		return err
	}
	return publish(r, *docs, stdout)
}

// measureAll measures the contestants whose names contain only.
func measureAll(ctx context.Context, only string, stderr io.Writer) (result, error) {
	r := newResult(podsOfARun, workersOfAPod)
	b, err := newBench(ctx)
	if err != nil {
		return r, err
	}
	defer func() { _ = os.RemoveAll(b.programs) }() // a temporary folder
	b.workers, b.window, b.later = workersOfAPod, window, later
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for _, c := range contestants {
		if !strings.Contains(c.name, only) {
			continue
		}
		begin := time.Now()
		for i, pods := range r.Pods {
			seen, err := b.measure(ctx, c, pods)
			for s := range seen {
				r.Figures[c.name][s][i] = seen[s]
			}
			if err != nil {
				return r, fmt.Errorf("measure %s with %d pods: %w", c.name, pods, err)
			}
		}
		_, _ = fmt.Fprintf(stderr, "%s measured in %.0f s\n", c.name, time.Since(begin).Seconds())
	}
	return r, nil
}

// measure returns the figures of a contestant. The renewal has a fleet of its own.
func (b bench) measure(ctx context.Context, c contestant, pods int) (seen [situations]figures, err error) {
	f, err := newFleet(ctx, b, c, pods)
	if err != nil {
		return seen, err
	}
	seen, err = f.runSituations(ctx)
	f.end()
	if err != nil {
		return seen, err
	}
	if f, err = newFleet(ctx, b, c, pods); err != nil {
		return seen, err
	}
	defer f.end()
	seen[renewal], err = f.renew(ctx)
	return seen, err
}

// publish writes the page and the chart, and prints the totals.
func publish(r result, docs string, stdout io.Writer) error {
	if docs != "" {
		if err := errors.Join(updatePage(filepath.Join(docs, "benchmarks.md"), r), writeChart(filepath.Join(docs, "benchmarks.svg"), r)); err != nil {
			return err
		}
	}
	_, err := io.WriteString(stdout, totals(r))
	return err
}
