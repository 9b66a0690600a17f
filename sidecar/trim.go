package main

import (
	"context"
	"runtime/debug"
	"time"
)

// trim gives the memory of calls to WeChat back to the system, which otherwise
// stays with the process. The system's roots, parsed for the first call's TLS, take
// 4.6 MB, most of it garbage; ten thousand accounts that start at once leave more.
type trim struct {
	asked chan struct{} // holds one where WeChat was called since the last look
	free  func()
}

const (
	// trimAfter is longer than a renewal talks to WeChat.
	trimAfter = 11 * time.Second
	// trimWaits is how often it waits once more because there were other calls.
	trimWaits = 5
)

func newTrim() *trim { return &trim{asked: make(chan struct{}, 1), free: debug.FreeOSMemory} }

// watch returns read, which is called before every call to WeChat, and notes that.
func (t *trim) watch(read func() (string, error)) func() (string, error) {
	return func() (string, error) {
		select {
		case t.asked <- struct{}{}:
		default:
		}
		return read()
	}
}

// run frees once after every stretch of calls, a single one most of the time: 11 s
// after it, 22 at most, and once in a minute while there is no end of calls.
func (t *trim) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.asked:
		}
		for waits := 0; ; waits++ {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(trimAfter):
			}
			if !t.wasAsked() || waits == trimWaits {
				break
			}
		}
		t.free()
	}
}

func (t *trim) wasAsked() bool {
	select {
	case <-t.asked:
		return true
	default:
		return false
	}
}
