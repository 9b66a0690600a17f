// Command sidecar keeps WeChat access_tokens valid in memcached.
//
// An app beside it finds a valid token in memcached under the AppID. All sidecars
// together make one request to WeChat per renewal. If memcached fails, the sidecar
// answers from its own memory. Package keeper says how.
//
// `sidecar help` prints the subcommands and every variable. `sidecar demo` shows
// everything in one process.
//
// Exit codes: 0 success, 1 failure, 2 wrong usage or configuration. On SIGTERM the
// program stops accepting connections, finishes open requests, releases its leases and
// exits with 0 within 5 s.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// Exit codes.
const (
	exitFine     = 0
	exitFailed   = 1
	exitBadUsage = 2
)

func main() {
	reserveKernelMemory()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// run runs the program until ctx ends. It returns the exit code.
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
			return c.run(ctx, &invocation{c, args, environ, os.Stdin, stdout, stderr})
		}
	}
	what := "command" // not quoted: it can be an AppSecret in the wrong place
	if strings.HasPrefix(name, "-") {
		option, _, _ := strings.Cut(name, "=")
		what = fmt.Sprintf("option %.40q", secretRun.ReplaceAllString(option, hidden))
	}
	_, _ = fmt.Fprintf(stderr, "sidecar: unknown %s; see sidecar help\n", what)
	return exitBadUsage
}
