package mirror

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
)

// Config says where credentials are copied to. With neither File nor DSN, a Mirror
// does nothing.
type Config struct {
	// File is the path of access_token.json; "" means no file. With several accounts
	// it contains Placeholder. See CheckFile.
	File string
	// DSN returns the data source name of a MySQL or MariaDB database; nil means no
	// table. It is called before every connection, so a new password needs no
	// restart. Its error must not quote the name. See CheckDSN.
	DSN func() (string, error)
	// Table is the table's name; "" means DefaultTable. With several accounts it
	// contains Placeholder. See CheckTable.
	Table string
	// Log gets one line for each event; nil means none.
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

	mu       sync.Mutex // guards what follows; never held over I/O
	accounts map[string]bool
	last     map[credentialKey]keeper.Change // from Changed
}

// New returns a Mirror without accounts, see SetAccounts. Run writes.
func New(cfg Config) *Mirror {
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	m := &Mirror{close: func() {}, accounts: map[string]bool{}, last: map[credentialKey]keeper.Change{}}
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

// SetAccounts sets the accounts whose credentials are mirrored. Call it before the
// keeper gets them. It drops the credentials and failures of all other accounts.
func (m *Mirror) SetAccounts(appIDs []string) {
	if len(m.queues) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.accounts = make(map[string]bool, len(appIDs))
	for _, id := range appIDs {
		m.accounts[id] = true
	}
	for key := range m.last {
		if !m.accounts[key.appID] {
			delete(m.last, key)
		}
	}
	for _, q := range m.queues {
		q.setAccounts(m.accounts)
	}
}

// Changed queues a credential, and never waits for disk or network. It is meant for
// keeper.Config.Changed.
func (m *Mirror) Changed(c keeper.Change) {
	if len(m.queues) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.accounts[c.AppID] {
		return // the account was removed meanwhile
	}
	key := credentialKey{c.AppID, c.Kind}
	j := job{Change: c}
	if previous := m.last[key]; previous.Number < c.Number {
		j.previous = previous.Value
	}
	m.last[key] = c
	for _, q := range m.queues {
		q.add(key, j)
	}
}

// Run writes until ctx ends, and returns after the last write, at most lastWrite later:
// a file system or a DSN that hangs must not keep the program from ending.
func (m *Mirror) Run(ctx context.Context) {
	var running sync.WaitGroup
	for _, q := range m.queues {
		running.Go(func() { q.run(ctx) })
	}
	ended := make(chan struct{})
	go func() {
		running.Wait()
		close(ended)
	}()
	select {
	case <-ended: // there is none
	case <-ctx.Done():
		select {
		case <-ended:
		case <-time.After(lastWrite):
		}
	}
	m.close()
}

// States returns the state of each configured mirror.
func (m *Mirror) States() []State {
	states := make([]State, len(m.queues))
	for i, q := range m.queues {
		states[i] = q.state()
	}
	return states
}

// jitter spreads what many sidecars do at the same time.
func jitter() float64 { return rand.Float64() } //nolint:gosec // spreads load, protects nothing

const (
	lastWrite  = 3 * time.Second
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// retryAfter returns the wait after this many failures in a row, ±10 %.
func retryAfter(failures int, spread float64) time.Duration {
	wait := firstRetry << min(failures-1, 10)
	return time.Duration(float64(min(wait, lastRetry)) * (0.9 + 0.2*spread))
}
