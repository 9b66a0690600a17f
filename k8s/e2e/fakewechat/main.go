// Command fakewechat runs in the cluster of the end-to-end suite: a fake WeChat, and
// an app that counts.
//
//	fakewechat serve   WeChat over https, and control routes for the suite
//	fakewechat read    an app: reads the token repeatedly, judges each read, and
//	                   reports its counters every second and at SIGTERM
//	fakewechat kill NAME   SIGKILL to every process of that name in this pod
//	fakewechat wait    does nothing until SIGTERM
//
// It prints neither AppSecrets nor tokens: a token shows as the first 8 digits of
// its SHA-256. Exit codes: 0 success, 1 failure, 2 wrong usage.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program: ctx ends with the signal, and the result is the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var err error
	switch {
	case len(args) == 1 && args[0] == "serve":
		err = serve(ctx, stdout)
	case len(args) > 0 && args[0] == "read":
		var reader *reader
		if reader, err = readerFromEnv(args[1:]); err == nil {
			err = reader.run(ctx, stdout)
		}
	case len(args) == 2 && args[0] == "kill":
		err = kill(args[1], stdout)
	case len(args) == 1 && args[0] == "wait":
		<-ctx.Done()
	default:
		_, _ = fmt.Fprintln(stderr, "usage: fakewechat serve | read [-every 100ms] [-patience 13s] [-times N] | kill NAME | wait")
		return 2
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "fakewechat %s: %v\n", args[0], err)
		return 1
	}
	return 0
}
