package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// steps is the folder through which sidecars that were built with the tag chaos
// are caught in a step of a renewal; see sidecar/keeper/failpoint_chaos.go.
type steps struct {
	dir string
}

func newSteps(dir string) (*steps, error) {
	s := &steps{filepath.Join(dir, "steps")}
	return s, os.Mkdir(s.dir, 0o700)
}

// order says what is to happen to whoever comes to this step first with a renewal
// of this account: kill, stop, or mark, which only tells who it was.
func (s *steps) order(account, step, what string) error {
	path := filepath.Join(s.dir, account)
	if err := os.WriteFile(path+".new", []byte(step+" "+what), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path) // whole, or not there
}

// taken waits for somebody to come, and returns his process id.
func (s *steps) taken(ctx context.Context, account string) (pid int, err error) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		found, err := filepath.Glob(filepath.Join(s.dir, account+".[0-9]*"))
		if err != nil {
			return 0, err
		}
		for _, path := range found {
			_ = os.Remove(path)
			return strconv.Atoi(strings.TrimPrefix(filepath.Ext(path), "."))
		}
		select {
		case <-ctx.Done():
			_ = os.Remove(filepath.Join(s.dir, account))
			return 0, errors.New("no renewal came to this step")
		case <-tick.C:
		}
	}
}

// held is how many goroutines a sidecar last told of, and how many bytes of its heap
// were in use at its last collection.
func (s *steps) held(pid int) (goroutines, live int, err error) {
	text, err := os.ReadFile(filepath.Join(s.dir, "held."+strconv.Itoa(pid)))
	if err != nil {
		return 0, 0, err
	}
	_, err = fmt.Sscan(string(text), &goroutines, &live)
	return goroutines, live, err
}
