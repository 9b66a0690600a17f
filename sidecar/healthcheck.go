package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"strings"
)

// runHealthcheck requests /readyz from the sidecar with the same variables.
func runHealthcheck(ctx context.Context, i *invocation) int {
	flags := flag.NewFlagSet("healthcheck", flag.ContinueOnError)
	if exit, ok := i.parse(flags, 0); !ok {
		return exit
	}
	ops, ok := opsOf(i.environ)
	if !ok {
		return i.misused(flags, noOps)
	}
	status, reason, err := ops.get(ctx, "/readyz", 4<<10)
	if err != nil {
		return i.failed(err)
	}
	if status != http.StatusOK {
		return i.failed(fmt.Errorf("not ready: %s", strings.TrimSpace(string(reason))))
	}
	_, _ = fmt.Fprintln(i.stdout, "ready")
	return exitFine
}
