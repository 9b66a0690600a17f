package quota

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// Watcher reads WeChat's count about once an hour. It is safe for concurrent use. A nil
// Watcher does nothing.
type Watcher struct {
	cfg  Config
	wake chan struct{} // holds a value if requests were sent

	mu       sync.Mutex // guards accounts and what they point to; never held over I/O
	accounts map[string]*account
}

// account is what this sidecar knows of an account.
type account struct {
	slot    *memcache.Slot
	unsaved int             // requests that were sent and are not counted in memcached yet
	due     time.Time       // of the next check for a reading
	checks  int             // in vain, since the last reading
	last    *memcache.Quota // nil: none
}

// New returns a Watcher. Run makes it work.
func New(cfg Config) *Watcher {
	if cfg.Rand == nil {
		cfg.Rand = rand.Float64
	}
	if cfg.Observe == nil {
		cfg.Observe = func(Result) {}
	}
	return &Watcher{cfg: cfg, wake: make(chan struct{}, 1), accounts: map[string]*account{}}
}

// Sent notes a request for a token: its API, and its failure or nil.
func (w *Watcher) Sent(appID string, api wechat.API, failure error) {
	if w == nil || api != w.cfg.API {
		return
	}
	var e *wechat.Error
	if errors.As(failure, &e) && e.Unsent {
		return
	}
	w.mu.Lock()
	if a := w.of(appID); a != nil {
		a.unsaved++
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// of returns an account, which it adds if it is new, or nil for a malformed AppID. The
// caller holds mu.
func (w *Watcher) of(appID string) *account {
	a := w.accounts[appID]
	if a == nil {
		slot, err := w.cfg.Store.Slot(appID, memcache.AccessToken)
		if err != nil {
			return nil
		}
		wait := startAfter + time.Duration(w.cfg.Rand()*float64(startWithin-startAfter))
		a = &account{slot: slot, due: time.Now().Add(wait)}
		w.accounts[appID] = a
	}
	return a
}

// Of returns the last reading for an account, or nil.
func (w *Watcher) Of(appID string) *status.Quota {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.accounts[appID]
	if a == nil || a.last == nil || time.Since(time.Unix(a.last.At, 0)) > staleAfter {
		return nil
	}
	return statusOf(a.last)
}

// statusOf returns a reading as /status.json has it.
func statusOf(q *memcache.Quota) *status.Quota {
	s := &status.Quota{At: time.Unix(q.At, 0).UTC(), Used: q.Used, Limit: q.Limit, External: q.External}
	if q.External != nil {
		s.Since = time.Unix(q.Since, 0).UTC()
	}
	return s
}

// Run works until ctx ends.
func (w *Watcher) Run(ctx context.Context) error {
	if w == nil {
		return nil
	}
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		w.save()
		select {
		case <-ctx.Done():
			w.save() // a request may have ended just now
			return nil
		case <-w.wake:
		case <-tick.C:
			for _, appID := range w.due() {
				if ctx.Err() == nil {
					w.check(ctx, appID)
					w.save()
				}
			}
		}
	}
}

// save counts in memcached what this sidecar has sent. What fails is saved later.
func (w *Watcher) save() {
	unsaved := map[*account]int{}
	w.mu.Lock()
	for _, a := range w.accounts {
		if a.unsaved > 0 {
			unsaved[a] = a.unsaved
		}
	}
	w.mu.Unlock()
	for a, n := range unsaved {
		if _, err := a.slot.CountSent(string(w.cfg.API), n); err == nil {
			w.mu.Lock()
			a.unsaved -= n
			w.mu.Unlock()
		}
	}
}

// due returns the accounts whose reading is due, and forgets those that were removed.
func (w *Watcher) due() []string {
	appIDs, now := w.cfg.AppIDs(), time.Now()
	kept := make(map[string]*account, len(appIDs))
	var due []string
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, appID := range appIDs {
		a := w.of(appID)
		if a == nil {
			continue
		}
		kept[appID] = a
		if !now.Before(a.due) {
			due = append(due, appID)
		}
	}
	w.accounts = kept
	return due
}

// check takes the reading of another sidecar, or reads WeChat's count if it is this
// sidecar's turn.
func (w *Watcher) check(ctx context.Context, appID string) {
	w.mu.Lock()
	a := w.of(appID)
	w.mu.Unlock()
	w.postpone(a)
	before, err := a.slot.Quota(string(w.cfg.API))
	if err != nil || before != nil && w.note(a, before) {
		return
	}
	if first, err := a.slot.Mark(memcache.MarkQuotaRead, every); err == nil && first {
		w.read(ctx, appID, a, before)
	}
}

// note remembers a reading, and reports whether the next one is not due yet.
func (w *Watcher) note(a *account, q *memcache.Quota) bool {
	now := time.Now()
	after := nextCheck(q, now)
	w.mu.Lock()
	defer w.mu.Unlock()
	if a.last == nil || q.At >= a.last.At || a.last.At > now.Unix() { // else memcached did not take the last one; a clock can be ahead
		a.last = q
	}
	if !after.After(now) {
		return false
	}
	a.checks, a.due = 0, after.Add(time.Duration(w.cfg.Rand()*float64(tickEvery)))
	return true
}

// postpone sets the next check. A reading replaces that.
func (w *Watcher) postpone(a *account) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a.due = time.Now().Add(min(checkEvery<<min(a.checks, 8), checkSeldom))
	a.checks++
}

// read reads WeChat's count.
func (w *Watcher) read(ctx context.Context, appID string, a *account, before *memcache.Quota) {
	ctx, cancel := context.WithTimeout(ctx, requestLife)
	defer cancel()
	got, err := w.cfg.Ask(ctx, appID)
	if errors.Is(ctx.Err(), context.Canceled) {
		return // the process ends
	}
	w.cfg.Observe(resultOf(got, err))
	if err != nil {
		w.cfg.Log.Warn("WeChat's count not read", "appid", appID, "error", err.Error())
		return
	}
	w.save() // a report may have caused a renewal
	sent, err := a.slot.CountSent(string(w.cfg.API), 0)
	if err != nil {
		sent = 0 // then this reading and the next one have no external fetches
	}
	q := next(before, got, sent, w.cfg.Name, time.Now())
	w.note(a, q)
	_ = a.slot.PutQuota(string(w.cfg.API), q) // if it fails, the others show the one before
	w.log(appID, q)
	select {
	case <-ctx.Done():
	case <-time.After(apart):
	}
}

// log logs a reading.
func (w *Watcher) log(appID string, q *memcache.Quota) {
	fields := []any{"appid", appID, "api", string(w.cfg.API), "used", q.Used, "limit", q.Limit}
	if q.External != nil {
		fields = append(fields, "external", *q.External, "seconds", q.At-q.Since)
	}
	switch {
	case q.Limit == 0:
		w.cfg.Log.Info("WeChat gives no count of requests", "appid", appID, "api", string(w.cfg.API))
	case isMuch(q):
		w.cfg.Log.Warn("external fetches counted", append(fields, "hint", hint.ExternalToken)...)
	default:
		w.cfg.Log.Info("WeChat's count read", fields...)
	}
}
