package client

import (
	"sync"
	"sync/atomic"
	"time"
)

// local holds a token in the process. A read is one atomic load: a timer removes the
// token at its end, so that no reader reads the clock, which would take several times
// as long (BenchmarkAccessTokenLocal).
//
// Generations decide what is stored, because a Refresh may report the token that
// another call has just read:
//
//	A: reads T1 from memcached, generation 1
//	B: Refresh(T1): generation 2, nothing held … T2: generation 3, holds T2
//	A: its generation is over, so it does not store T1
//
// A Refresh begins and ends a generation. It stores its answer only if no other
// Refresh began or ended meanwhile, which may have reported that very answer.
type local struct {
	life time.Duration // Config.Local; 0 stores nothing
	held atomic.Pointer[string]

	generation atomic.Uint64 // written under mu

	mu     sync.Mutex
	timer  *time.Timer // removes the held token; mu guards it
	closed bool        // mu guards it
}

// store stores a token of a generation for at most life, unless that one is over.
func (l *local) store(generation uint64, token string, life time.Duration) {
	if l.life == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if generation == l.generation.Load() {
		l.set(token, life)
	}
}

// begin starts the generation of a Refresh and removes the token.
func (l *local) begin() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
	return l.generation.Add(1)
}

// end ends that generation with the token that the Refresh returns.
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
	held := &token
	l.held.Store(held)
	// Stop does not wait for a timer that fires: the swap does not remove a later token.
	l.timer = time.AfterFunc(life, func() { l.held.CompareAndSwap(held, nil) })
}

func (l *local) clear() {
	l.held.Store(nil)
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
