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
	"time"
)

// checkpointEvery is how often an exploration is saved: some hundred megabytes if it is a large one.
const checkpointEvery = 5 * time.Minute

// checkpoint is an exploration that can go on in another process. None runs at that time.
type checkpoint struct {
	Program                              [32]byte // a hash of this test program: a checkpoint of other code is worth nothing
	Schedules, Pruned, Excused, Replayed int
	Longest                              string
	Took                                 time.Duration
	Waiting                              map[string][]string // schedules, by cost
	Ran                                  map[string]int
	Seen                                 map[uint64]marks
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
		return err
	}
	if saved.Program != program() {
		return fmt.Errorf("%s is an exploration of other code: remove it", e.file())
	}
	e.schedules, e.pruned, e.excused, e.replayed = saved.Schedules, saved.Pruned, saved.Excused, saved.Replayed
	e.longest, e.before = saved.Longest, saved.Took
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

// save saves the exploration while none of its schedules runs. The caller holds mu.
func (e *search) save() error {
	if e.folder == "" {
		return nil
	}
	saved := checkpoint{
		Program: program(), Schedules: e.schedules, Pruned: e.pruned, Excused: e.excused, Replayed: e.replayed,
		Longest: e.longest, Took: e.took(), Waiting: map[string][]string{}, Ran: map[string]int{}, Seen: e.seen,
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
	e.saved = time.Now()
	return os.Rename(e.file()+".new", e.file())
}

// program returns a hash of this test program.
func program() (sum [32]byte) {
	path, err := os.Executable()
	must(err)
	text, err := os.ReadFile(path)
	must(err)
	return sha256.Sum256(text)
}

// took returns how long the exploration has taken, in all its processes.
func (e *search) took() time.Duration { return e.before + time.Since(e.begin) }
