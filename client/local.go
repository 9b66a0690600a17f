package client

import (
	"sync"
	"sync/atomic"
	"time"
)

// local keeps a token in the process. A read is one atomic load: a timer takes
// the token away when its time is over, so that no reader has to ask the clock.
//
// What may be kept is decided by generations, since a token that was read before
// a Refresh may be the one that it reports:
//
//	A: reads T1 from memcached, generation 1
//	B: Refresh(T1): generation 2, nothing kept … T2: generation 3, keeps T2
//	A: would keep T1; its generation is over, so it does not
//
// A Refresh begins and ends a generation, and keeps its answer only where no other
// Refresh began or ended meanwhile: the answer of one that was overtaken may be
// what the other reported.
type local struct {
	life time.Duration // Config.Local; 0 keeps nothing
	kept atomic.Pointer[string]

	generation atomic.Uint64 // written under mu

	mu     sync.Mutex
	timer  *time.Timer // mu guards it; takes away what is kept
	closed bool        // mu guards it
}

// keep keeps a token read in generation for at most life, unless that is over.
func (l *local) keep(generation uint64, token string, life time.Duration) {
	if l.life == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if generation == l.generation.Load() {
		l.set(token, life)
	}
}

// begin starts the generation of a Refresh: nothing is kept any more.
func (l *local) begin() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
	return l.generation.Add(1)
}

// end ends it with the token that the Refresh brought.
func (l *local) end(generation uint64, token string, life time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
	if l.generation.Add(1) == generation+1 {
		l.set(token, life)
	}
}

func (l *local) set(token string, life time.Duration) {
	life = min(life, l.life)
	if l.closed || life <= 0 {
		return
	}
	l.clear()
	kept := &token
	l.kept.Store(kept)
	// The swap spares a later token: Stop does not wait for a timer that fires.
	l.timer = time.AfterFunc(life, func() { l.kept.CompareAndSwap(kept, nil) })
}

func (l *local) clear() {
	l.kept.Store(nil)
	if l.timer != nil {
		l.timer.Stop()
	}
}

func (l *local) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.clear()
}
