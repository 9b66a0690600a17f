package main

import (
	"context"
	"time"

	"github.com/wxsidecar/wxsidecar/bench/program"
)

// await calls check until it returns nil. If ctx ends, it returns the cause; after the
// limit, check's last error.
func await(ctx context.Context, limit, every time.Duration, check func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := check(limited)
		if err == nil {
			return nil
		}
		if program.Sleep(limited, every) == nil {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
}
