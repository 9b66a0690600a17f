package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// journal is what happened when: seconds since the start.
type journal struct {
	start time.Time

	mu  sync.Mutex // guards what follows
	out []io.Writer
}

func newJournal(dir string, also io.Writer) (*journal, error) {
	file, err := os.Create(filepath.Join(dir, "journal.log")) //nolint:gosec // in the folder that was named
	if err != nil {
		return nil, err
	}
	return &journal{start: time.Now(), out: []io.Writer{file, also}}, nil
}

// now is how long the run has lasted: what all moments are given in.
func (j *journal) now() time.Duration { return time.Since(j.start) }

// at is a moment of a clock as one of the run.
func (j *journal) at(t time.Time) time.Duration { return t.Sub(j.start) }

func (j *journal) say(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, w := range j.out {
		_, _ = fmt.Fprintf(w, "%8.2f s  %s\n", j.now().Seconds(), fmt.Sprintf(format, args...))
	}
}
