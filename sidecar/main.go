// Command sidecar keeps WeChat's access_tokens in memcached.
//
// It promises that an app beside it finds a token that WeChat accepts in
// memcached under the AppID, that any number of sidecars cause one call to WeChat
// per renewal, and that it answers for itself where memcached cannot: see
// package keeper for how. `sidecar help` lists the subcommands and every
// variable, `sidecar demo` shows it all in one process.
//
// Exit codes: 0 fine, 1 failed, 2 bad usage or configuration. On SIGTERM it
// stops accepting, finishes what is in flight, gives its leases back, and exits
// with 0 within 5 s.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes.
const (
	exitFine     = 0
	exitFailed   = 1
	exitBadUsage = 2
)

func main() {
	leaveRoom()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// run is the program: ctx ends with the signal, and the result is the exit code.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	name := "run"
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	switch name {
	case "help", "-h", "-help", "--help":
		help(stdout)
		return exitFine
	case "--version":
		name = "version"
	}
	for _, c := range commands {
		if c.name == name {
			return c.run(ctx, &invocation{c, args, environ, stdout, stderr})
		}
	}
	_, _ = fmt.Fprintf(stderr, "sidecar: there is no such command; see sidecar help\n")
	return exitBadUsage
}
