package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/demo"
)

// runDemo runs everything in this process.
func runDemo(ctx context.Context, i *invocation) int {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	length := flags.Duration("for", 0, "end after this time, with a summary; 0 means on Ctrl-C")
	if exit, ok := i.parse(flags, 0); !ok {
		return exit
	}
	if *length < 0 {
		return i.misused(flags, "--for is below zero")
	}
	held, err := demo.Run(ctx, demo.Config{Out: i.stdout, Environ: i.environ, For: *length, NewSidecar: newDemoSidecar})
	if err != nil {
		return i.failed(err)
	}
	if !held {
		return exitFailed
	}
	return exitFine
}

// newDemoSidecar returns a daemon as the demo uses it.
func newDemoSidecar(ctx context.Context, environ []string, name string, log *slog.Logger) (demo.Sidecar, error) {
	cfg, found := parse(environ)
	if len(found) > 0 {
		return demo.Sidecar{}, errors.New(found.String())
	}
	d, err := newDaemon(ctx, cfg, name, log)
	if err != nil {
		return demo.Sidecar{}, err
	}
	return demo.Sidecar{
		API: d.apiAt.Addr(), Ops: d.opsAt.Addr(), Run: d.run,
		Token: func(ctx context.Context, appID string) (string, error) {
			grant, err := d.group.Token(ctx, appID, memcache.AccessToken)
			return grant.Value, err
		},
	}, nil
}
