package explore

import (
	"bytes"
	"crypto/sha256"
	"encoding/gob"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// checkpoint is an exploration that can go on in another process. It is made while no
// schedule runs: a state counts as seen before the schedules that follow from it are known.
type checkpoint struct {
	Program                              [32]byte // a hash of this test program: a checkpoint of other code is worth nothing
	Schedules, Pruned, Excused, Replayed int
	Longest                              string
	Took                                 time.Duration
	Waiting                              map[string][]string // schedules, by cost
	Ran                                  map[string]int
	Seen                                 map[uint64]marks
	Failures                             []failure
}

// An exploration that is interrupted often ends as one that is not, and keeps its failures.
func TestCheckpoint_GoesOn(t *testing.T) {
	folder, left := t.TempDir(), 1
	for begun := false; left > 0; begun = true {
		e := newSearch(starts[0], bound{preemptions: 1})
		e.folder, e.saveEvery = folder, 20*time.Millisecond
		require.NoError(t, e.load())
		if begun {
			require.Equal(t, []failure{{"1.1", []string{"found before"}}}, e.failures)
		} else {
			e.failures = []failure{{"1.1", []string{"found before"}}}
		}
		e.deadline = time.Now().Add(200 * time.Millisecond)
		e.explore(t, 2)
		left = e.leftWithin(e.bound)
	}
	whole := newSearch(starts[0], bound{preemptions: 1})
	whole.saveEvery = time.Millisecond // and nowhere to save it
	whole.explore(t, 2)
	assert.Zero(t, whole.leftWithin(whole.bound))
	assert.Empty(t, whole.failures)
	e := newSearch(starts[0], bound{preemptions: 1})
	e.folder = folder
	require.NoError(t, e.load())
	assert.InDelta(t, len(whole.seen), len(e.seen), float64(len(whole.seen))/50, "two workers differ in which of two runs meets a state first")
}

// file returns where the exploration is saved; empty if it is not.
func (e *search) file() string {
	if e.folder == "" {
		return ""
	}
	return filepath.Join(e.folder, e.start.name+" "+e.bound.String())
}

// load goes on with an exploration that was saved.
func (e *search) load() error {
	if e.folder == "" {
		return nil
	}
	text, err := os.ReadFile(e.file())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var saved checkpoint
	if err == nil {
		err = gob.NewDecoder(bytes.NewReader(text)).Decode(&saved)
	}
	if err != nil {
		return fmt.Errorf("%s: %w: remove it", e.file(), err)
	}
	if saved.Program != program() {
		return fmt.Errorf("%s is an exploration of other code: remove the folder", e.file())
	}
	e.schedules, e.pruned, e.excused, e.replayed = saved.Schedules, saved.Pruned, saved.Excused, saved.Replayed
	e.longest, e.before, e.failures = saved.Longest, saved.Took, saved.Failures
	if saved.Seen != nil {
		e.seen = saved.Seen
	}
	clear(e.waiting)
	for _, cost := range e.costs {
		e.ran[cost] = saved.Ran[cost.String()]
		for _, text := range saved.Waiting[cost.String()] {
			s, err := parseSchedule(text)
			if err != nil {
				return err
			}
			e.waiting[cost] = append(e.waiting[cost], s)
		}
	}
	return nil
}

// save saves the exploration, see checkpoint. The caller holds mu.
func (e *search) save() error {
	e.saved = time.Now()
	if e.folder == "" {
		return nil
	}
	saved := checkpoint{
		Program: program(), Schedules: e.schedules, Pruned: e.pruned, Excused: e.excused, Replayed: e.replayed,
		Longest: e.longest, Took: e.took(), Waiting: map[string][]string{}, Ran: map[string]int{}, Seen: e.seen, Failures: e.failures,
	}
	for _, cost := range e.costs {
		saved.Ran[cost.String()] = e.ran[cost]
		for _, s := range e.waiting[cost] {
			saved.Waiting[cost.String()] = append(saved.Waiting[cost.String()], s.String())
		}
	}
	if err := os.MkdirAll(e.folder, 0o755); err != nil {
		return err
	}
	var text bytes.Buffer
	if err := gob.NewEncoder(&text).Encode(saved); err != nil {
		return err
	}
	if err := os.WriteFile(e.file()+".new", text.Bytes(), 0o600); err != nil {
		return err
	}
	return os.Rename(e.file()+".new", e.file())
}

// program returns a hash of this test program.
var program = sync.OnceValue(func() [32]byte {
	path, err := os.Executable()
	must(err)
	text, err := os.ReadFile(path)
	must(err)
	return sha256.Sum256(text)
})

// took returns how long the exploration has taken, in all its processes.
func (e *search) took() time.Duration { return e.before + time.Since(e.begin) }
