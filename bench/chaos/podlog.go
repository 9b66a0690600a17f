package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// podLog is what a sidecar prints: kept in a file, looked through for secrets, and
// understood, since it says why a call was made.
type podLog struct {
	world *world
	path  string

	mu   sync.Mutex // guards what follows
	file *os.File
	rest []byte // of a line that has not ended
}

// event is a line of a sidecar's log.
type event struct {
	at    time.Duration
	AppID string `json:"appid"`
	Level string `json:"level"`
	Text  string `json:"msg"`
	Code  int    `json:"errcode"`
}

func newPodLog(w *world, number int) (*podLog, error) {
	l := &podLog{world: w, path: filepath.Join(w.out, fmt.Sprintf("sidecar-%d.log", number))}
	var err error
	l.file, err = os.Create(l.path)
	return l, err
}

// Write implements io.Writer.
func (l *podLog) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.file.Write(text); err != nil {
		return 0, err
	}
	l.rest = append(l.rest, text...)
	for {
		line, rest, whole := bytes.Cut(l.rest, []byte("\n"))
		if !whole {
			return len(text), nil
		}
		l.rest = rest
		e := event{at: l.world.journal.now()}
		if json.Unmarshal(line, &e) == nil {
			l.world.judge.heard(e)
		}
	}
}

// plants are in every AppSecret and in every token, and nowhere else.
var plants = []string{"canary" + "secret", "canary" + "token"}

// leaks is how many of them were printed, by the sidecars or by this program.
func (w *world) leaks() (int, error) {
	files, err := filepath.Glob(filepath.Join(w.out, "*.log"))
	if err != nil {
		return 0, err
	}
	n := 0
	for _, path := range files {
		text, err := os.ReadFile(path) //nolint:gosec // of ours
		if err != nil {
			return 0, err
		}
		for _, plant := range plants {
			n += strings.Count(string(text), plant)
		}
	}
	return n, nil
}
