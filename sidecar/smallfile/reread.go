package smallfile

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Reread is what files hold that are read again when they change. While they are unusable,
// the last usable content stays. It is safe for concurrent use.
type Reread[T any] struct {
	load   func() (content T, versions []Version, err error)
	same   func(a, b T) bool
	report func(content T, err error)
	good   atomic.Pointer[loaded[T]]

	mu     sync.Mutex // guards broken
	broken bool       // the files are unusable, and report was called
}

// loaded is what the files held when they were last read.
type loaded[T any] struct {
	content  T
	versions []Version
}

// NewReread loads the files, and returns load's error. Later, report is called with another
// content (by same), with the first error of several in a row, and with the content after it.
func NewReread[T any](load func() (T, []Version, error), same func(a, b T) bool, report func(T, error)) (*Reread[T], error) {
	r := &Reread[T]{load: load, same: same, report: report}
	content, versions, err := load()
	if err != nil {
		return nil, err
	}
	r.good.Store(&loaded[T]{content, versions})
	return r, nil
}

// Current returns what the files hold, or the last usable content. It costs a stat of each
// file, about 1 µs.
func (r *Reread[T]) Current() T {
	last := r.good.Load()
	if !slices.ContainsFunc(last.versions, Version.hasChanged) {
		return last.content
	}
	content, versions, err := r.load()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		if !r.broken {
			r.broken = true
			r.report(content, err)
		}
		return last.content
	}
	if r.broken || !r.same(content, last.content) {
		r.broken = false
		r.report(content, nil)
	}
	r.good.Store(&loaded[T]{content, versions})
	return content
}
