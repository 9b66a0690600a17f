package main

import (
	"io"
	"log"
	"os"
	"path/filepath"
	"time"
)

// journal writes what happens, with the seconds since the start of the run.
type journal struct {
	start time.Time
	lines *log.Logger
}

func newJournal(dir string, stderr io.Writer) (*journal, error) {
	file, err := os.Create(filepath.Join(dir, "journal.log")) //nolint:gosec // in the folder that -out names
	return &journal{time.Now(), log.New(io.MultiWriter(file, stderr), "", 0)}, err
}

// now returns how long the run has lasted. All times of a run count from its start.
func (j *journal) now() time.Duration { return time.Since(j.start) }

// at returns a time of the clock as a time of the run.
func (j *journal) at(t time.Time) time.Duration { return t.Sub(j.start) }

func (j *journal) say(format string, args ...any) {
	j.lines.Printf("%8.2f s  "+format, append([]any{j.now().Seconds()}, args...)...)
}
