package main

import (
	"bytes"
	"context"
	"time"
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
		if pause(limited, every) == nil {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
}

// pause waits for d, or until ctx ends: then it returns the cause.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// lineWriter calls each for each line that is written, without its end.
type lineWriter struct {
	each func(line []byte)
	part []byte // of a line that has not ended
}

// Write implements io.Writer.
func (l *lineWriter) Write(text []byte) (int, error) {
	l.part = append(l.part, text...)
	for {
		line, rest, found := bytes.Cut(l.part, []byte("\n"))
		if !found {
			return len(text), nil
		}
		l.each(line)
		l.part = rest
	}
}
