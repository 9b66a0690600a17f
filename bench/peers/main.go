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
	"strings"
	"sync"
	"syscall"
	"time"
)

// limit is that of a whole run, without the building: one that takes longer fails.
const limit = 15 * time.Minute

// What a whole run measures.
const (
	workersOfAPod = 4
	window        = 2500 * time.Millisecond
	later         = time.Second
)

var podsOfARun = []int{1, 4, 16}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		_, _ = fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// run is the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	flags.SetOutput(stderr)
	keep := flags.String("keep", "", "write the figures to this file")
	draw := flags.String("draw", "", "measure nothing: take the figures from this file, which -keep wrote")
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
	dir, err := os.MkdirTemp("", "peers")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // in the system's folder for what is temporary
	p, err := build(ctx, dir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	l, err := claimLoopback(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	b := bench{programs: p, loopback: l, workers: workersOfAPod, window: window, later: later}
	r := newResult(podsOfARun, workersOfAPod)
	for _, c := range contestants {
		if !strings.Contains(c.name, *only) {
			continue
		}
		begin := time.Now()
		_, _ = fmt.Fprintf(stderr, "%s …", c.name)
		if err := measure(ctx, b, c, r); err != nil {
			_, _ = fmt.Fprintln(stderr)
			return fmt.Errorf("measure %s: %w", c.name, err)
		}
		_, _ = fmt.Fprintf(stderr, " %.0f s\n", time.Since(begin).Seconds())
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

// measure fills in a contestant's figures.
func measure(ctx context.Context, b bench, c contestant, r result) error {
	for _, pods := range r.Pods {
		f, err := newFleet(ctx, b, c, pods)
		if err != nil {
			return err
		}
		seen, err := f.hour(ctx)
		f.end()
		if err != nil {
			return err
		}
		copy(r.Figures[c.name][pods], seen[:])
	}
	var on stage
	var renewing sync.WaitGroup
	failed := make([]error, len(r.Pods))
	for i, pods := range r.Pods {
		renewing.Go(func() {
			on.Lock()
			defer on.Unlock()
			f, err := newFleet(ctx, b, c, pods)
			if err != nil {
				failed[i] = err
				return
			}
			defer f.end()
			r.Figures[c.name][pods][renewal], failed[i] = f.renew(ctx, &on)
		})
	}
	renewing.Wait()
	return errors.Join(failed...)
}

// publish writes the documents, and prints the summary.
func publish(r result, docs string, stdout io.Writer) error {
	if docs != "" {
		if err := errors.Join(updatePage(filepath.Join(docs, "benchmarks.md"), r), writeChart(filepath.Join(docs, "benchmarks.svg"), r)); err != nil {
			return err
		}
	}
	_, err := io.WriteString(stdout, totals(r))
	return err
}
