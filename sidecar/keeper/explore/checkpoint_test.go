package explore

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// checkpointEvery is how often an exploration is saved.
const checkpointEvery = time.Minute

// checkpoint is an exploration that can go on in another process. The states that were
// reached are not saved: to explore some of them again is slower, and as good.
type checkpoint struct {
	Schedules, Pruned, Excused, Replayed int
	Longest                              string
	Took                                 time.Duration
	Left                                 []string // schedules
}

// file returns where the exploration is saved; empty if it is not.
func (e *search) file() string {
	if e.folder == "" {
		return ""
	}
	return filepath.Join(e.folder, e.start.name+" "+e.bound.String()+".json")
}

// load goes on with an exploration that was saved.
func (e *search) load() error {
	text, err := os.ReadFile(e.file())
	if e.file() == "" || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var saved checkpoint
	if err == nil {
		err = json.Unmarshal(text, &saved)
	}
	if err != nil {
		return err
	}
	e.schedules, e.pruned, e.excused, e.replayed = saved.Schedules, saved.Pruned, saved.Excused, saved.Replayed
	e.longest, e.before, e.stack = saved.Longest, saved.Took, nil
	for _, text := range saved.Left {
		s, err := parseSchedule(text)
		if err != nil {
			return err
		}
		e.stack = append(e.stack, s)
	}
	return nil
}

// save saves the exploration. The caller holds mu.
func (e *search) save() error {
	if e.file() == "" {
		return nil
	}
	saved := checkpoint{
		Schedules: e.schedules, Pruned: e.pruned, Excused: e.excused, Replayed: e.replayed,
		Longest: e.longest, Took: e.took(),
	}
	for _, s := range e.stack {
		saved.Left = append(saved.Left, s.String())
	}
	for s := range e.underWay {
		saved.Left = append(saved.Left, s)
	}
	text, err := json.Marshal(saved)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(e.folder, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(e.file()+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(e.file()+".new", e.file())
}

// took returns how long the exploration has taken, in all its processes.
func (e *search) took() time.Duration { return e.before + time.Since(e.begin) }
