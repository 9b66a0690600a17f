package main

import (
	"context"
	"math"
	"runtime/debug"
	"time"
)

// memoryReleaser returns memory to the system after requests to WeChat. The system's
// root certificates, parsed for the first TLS handshake, take 4.6 MB, mostly garbage.
// A start with 10,000 accounts leaves more.
type memoryReleaser struct {
	requested chan struct{} // holds a value if there was a request since the last check
	release   func()
}

const (
	// releaseAfter is longer than the requests of one renewal take.
	releaseAfter = 11 * time.Second
	// maxPostponed is how often further requests postpone a release.
	maxPostponed = 5
)

func newMemoryReleaser() *memoryReleaser {
	return &memoryReleaser{requested: make(chan struct{}, 1), release: debug.FreeOSMemory}
}

// beforeRequest wraps read, which is called before every request to WeChat.
func (m *memoryReleaser) beforeRequest(read func() (string, error)) func() (string, error) {
	return func() (string, error) {
		m.noteRequest()
		return read()
	}
}

// noteRequest is called before a request to WeChat.
func (m *memoryReleaser) noteRequest() {
	select {
	case m.requested <- struct{}{}:
	default:
	}
}

// run releases memory once after each series of requests: 11 to 22 s after its end, or
// once a minute if it does not end.
func (m *memoryReleaser) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.requested:
		}
		for postponed := 0; ; postponed++ {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(releaseAfter):
			}
			if len(m.requested) == 0 || postponed == maxPostponed {
				break
			}
			<-m.requested // this is its only reader
		}
		m.release()
	}
}

// reserveKernelMemory lowers Go's memory limit to three quarters of GOMEMLIMIT, which
// the manifests set to the pod's limit. The pod's limit also counts about 9 MB of the
// program's own pages and the kernel's buffers of connections.
func reserveKernelMemory() {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		debug.SetMemoryLimit(limit / 4 * 3)
	}
}
