package mirror

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
)

// Config says where credentials are kept too. With neither File nor DSN a Mirror
// does nothing.
type Config struct {
	// File is the path of access_token.json, with Placeholder for the AppID where
	// there are several accounts; "" means none. See CheckFile.
	File string
	// DSN reads the data source name of a MySQL or MariaDB, as CheckDSN wants it; nil
	// means none. It is called before every connection, so that a new password needs
	// no restart. Its error must not quote it.
	DSN func() (string, error)
	// Table is the table's name, with Placeholder for the AppID where there are
	// several accounts; "" means DefaultTable. See CheckTable.
	Table string
	// Log receives one line per event that matters; nil means none.
	Log *slog.Logger
}

// Names of the mirrors.
const (
	File  = "file"
	MySQL = "mysql"
)

// Mirror writes credentials where legacy programs read them. It is safe for
// concurrent use.
type Mirror struct {
	queues []*queue
	close  func()

	mu   sync.Mutex // guards what follows; never held over I/O
	kept map[string]bool
	last map[place]keeper.Change // that Changed was told of
}

// New returns a Mirror that keeps no account yet: see Keep. Run writes.
func New(cfg Config) *Mirror {
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	m := &Mirror{close: func() {}, kept: map[string]bool{}, last: map[place]keeper.Change{}}
	if cfg.File != "" {
		m.queues = append(m.queues, newQueue(File, log, newFile(cfg.File)))
	}
	if cfg.DSN != nil {
		table := newTable(cfg.DSN, cfg.Table)
		m.queues = append(m.queues, newQueue(MySQL, log, table))
		m.close = table.close
	}
	return m
}

// Keep says whose credentials are mirrored from now on: call it before the keeper
// hears of them. What waits for others is forgotten, and so is that it failed.
func (m *Mirror) Keep(appIDs []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept = make(map[string]bool, len(appIDs))
	for _, id := range appIDs {
		m.kept[id] = true
	}
	for at := range m.last {
		if !m.kept[at.appID] {
			delete(m.last, at)
		}
	}
	for _, q := range m.queues {
		q.keep(m.kept)
	}
}

// Changed has a credential written soon: it is for keeper.Config.Changed. It never
// waits for disk or network.
func (m *Mirror) Changed(c keeper.Change) {
	if len(m.queues) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.kept[c.AppID] {
		return // it has gone, and this came late
	}
	at := place{c.AppID, c.Kind}
	j := job{Change: c}
	if before := m.last[at]; before.Number < c.Number {
		j.before = before.Value
	}
	m.last[at] = c
	for _, q := range m.queues {
		q.add(at, j)
	}
}

// Run writes until ctx ends, and returns once nothing is under way.
func (m *Mirror) Run(ctx context.Context) {
	var running sync.WaitGroup
	for _, q := range m.queues {
		running.Go(func() { q.run(ctx) })
	}
	running.Wait()
	m.close()
}

// States is how each mirror that is configured is doing.
func (m *Mirror) States() []State {
	states := make([]State, len(m.queues))
	for i, q := range m.queues {
		states[i] = q.state()
	}
	return states
}

// jitter spreads what many do at the same time.
func jitter() float64 { return rand.Float64() } //nolint:gosec // spreads load, guards nothing

const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// retryAfter is the wait after so many failures in a row, ±10 %.
func retryAfter(failures int, spread float64) time.Duration {
	wait := firstRetry << min(failures-1, 10)
	return time.Duration(float64(min(wait, lastRetry)) * (0.9 + 0.2*spread))
}
