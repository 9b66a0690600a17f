package memcache_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// write is a write whose result must be the truth.
type write struct {
	verb string
	key  string
	do   func(sc *scene) error
}

var writes = map[string]write{
	"PutEntry by add":   {"add", "wx1", operations["PutEntry by add"]},
	"PutRecord by add":  {"add", "wx1:record", operations["PutRecord by add"]},
	"TakeLease":         {"add", "wx1:lease", func(sc *scene) error { return verified(sc.other.TakeLease()) }},
	"Mark":              {"add", "wx1:report_throttle", func(sc *scene) error { return marked(sc.other.Mark(memcache.MarkReportThrottle, time.Minute)) }},
	"Spend":             {"add", "wx1:budget:0", spend},
	"PutEntry by swap":  {"cas", "wx0", operations["PutEntry by swap"]},
	"PutRecord by swap": {"cas", "wx0:record", operations["PutRecord by swap"]},
	"CoolDown":          {"cas", "wx0:lease", operations["CoolDown"]},
	"Release":           {"cas", "wx0:lease", operations["Release"]},
	"TakeOver":          {"cas", "wx2:lease", func(sc *scene) error { return verified(sc.cooling.TakeOver(sc.cooldown)) }},
}

func spend(sc *scene) error {
	_, ok, err := sc.other.Spend(memcache.MarkBudget, 1, time.Minute)
	return marked(ok, err)
}

func verified(lease *memcache.Lease, err error) error {
	if err != nil {
		return err
	}
	return lease.Verify()
}

// marked turns false into its own error.
func marked(ok bool, err error) error {
	if err == nil && !ok {
		return memcache.ErrConflict
	}
	return err
}

// failing makes the n-th write fail with the n-th fault, and counts the writes.
func failing(f *fixture, verb string, then func(n int), faults ...memcachetest.Fault) *atomic.Int32 {
	var count atomic.Int32
	f.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
		if c.Verb != verb {
			return memcachetest.None
		}
		n := int(count.Add(1))
		if then != nil {
			then(n)
		}
		if n > len(faults) {
			return memcachetest.None
		}
		return faults[n-1]
	})
	return &count
}

// A write whose answer is lost is read back: the result is the truth.
func TestAdd_LostAnswer(t *testing.T) {
	t.Parallel()
	const (
		before, after, mid = memcachetest.DropBefore, memcachetest.DropAfter, memcachetest.DropMid
		hang, hangAfter    = memcachetest.Hang, memcachetest.HangAfter
		serverError        = memcachetest.ServerError
	)
	for story, c := range map[string]struct {
		faults []memcachetest.Fault
		sent   int32 // how often the write is sent
		done   bool
	}{
		"no fault":                        {nil, 1, true},
		"it happened, and the line broke": {[]memcachetest.Fault{after}, 1, true},
		"half the answer came":            {[]memcachetest.Fault{mid}, 1, true},
		"it happened, without an answer":  {[]memcachetest.Fault{hangAfter}, 1, true},
		"the line broke before":           {[]memcachetest.Fault{before}, 2, true},
		"it broke before, then after":     {[]memcachetest.Fault{before, after}, 2, true},
		"it broke before, then in half":   {[]memcachetest.Fault{before, mid}, 2, true},
		"it broke before, then silence":   {[]memcachetest.Fault{before, hangAfter}, 2, true},
		"it broke before twice":           {[]memcachetest.Fault{before, before}, 2, false},
		"it hangs, and can still happen":  {[]memcachetest.Fault{hang}, 1, false},
		"memcached refuses":               {[]memcachetest.Fault{serverError}, 1, false},
		"it broke, then was refused":      {[]memcachetest.Fault{before, serverError}, 2, false},
	} {
		for name, w := range writes {
			t.Run(story+"/"+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					f := setup(t)
					sc := newScene(t, f.store)
					was, _ := f.Peek(w.key)
					sent := failing(f, w.verb, nil, c.faults...)
					err := w.do(sc)
					now, _ := f.Peek(w.key)
					assert.Equal(t, c.sent, sent.Load(), "times it was sent")
					if c.done {
						require.NoError(t, err)
						assert.NotEqual(t, was, now)
					} else {
						assertFailure(t, err)
						assert.Equal(t, was, now, "nothing happened")
					}
				})
			})
		}
	}
}

// A value that another sidecar wrote meanwhile is not overwritten.
func TestLostAnswer_FasterSidecarWins(t *testing.T) {
	t.Parallel()
	for name, w := range writes {
		for story, c := range map[string]struct {
			fault memcachetest.Fault
			at    int
		}{
			"just before the write":                      {memcachetest.None, 1},
			"just before a write that is lost":           {memcachetest.DropBefore, 1},
			"just before a write whose answer is lost":   {memcachetest.DropAfter, 1},
			"just before a write without an answer":      {memcachetest.HangAfter, 1},
			"between a write that is lost and the next ": {memcachetest.DropBefore, 2},
		} {
			t.Run(name+"/"+story, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					f := setup(t)
					sc := newScene(t, f.store)
					failing(f, w.verb, func(n int) {
						if n == c.at {
							f.Put(w.key, goldenID, 0, 3600)
						}
					}, c.fault)
					err := w.do(sc)
					require.Error(t, err)
					for _, unclear := range []error{memcache.ErrMiss, memcache.ErrDamaged} {
						require.NotErrorIs(t, err, unclear)
					}
					assert.NotContains(t, err.Error(), canary)
					item, _ := f.Peek(w.key)
					assert.Equal(t, goldenID, item.Value)
				})
			})
		}
	}
}

// If the value cannot be read back, the write is an error.
func TestLostAnswer_UnreadableIsAFailure(t *testing.T) {
	t.Parallel()
	for _, fault := range faults {
		for name, w := range writes {
			t.Run(fault.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					f := setup(t)
					sc := newScene(t, f.store)
					f.SetDelay(time.Minute)
					f.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
						if c.Verb == w.verb {
							f.SetFault(fault.Fault) // and all that follows
							return memcachetest.DropAfter
						}
						return memcachetest.None
					})
					assertFailure(t, w.do(sc))
				})
			})
		}
	}
}

// A write that happened, and whose value is gone, is not repeated.
func TestLostAnswer_GoneIsNotWrittenTwice(t *testing.T) {
	t.Parallel()
	for name, w := range writes {
		if w.verb != "cas" || name == "Release" {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			f := setup(t)
			sc := newScene(t, f.store)
			gone := false
			f.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
				switch {
				case c.Verb == "cas":
					gone = true
					return memcachetest.DropAfter
				case gone:
					f.Evict(w.key)
				}
				return memcachetest.None
			})
			require.Error(t, w.do(sc), name)
			_, there := f.Peek(w.key)
			assert.False(t, there, name)
			assert.Equal(t, 1, f.Count("cas")-1, "%s: one beside the scene's own", name)
		})
	}
}

// A failure whose answer is lost is counted, perhaps twice: that only waits longer.
func TestCountFailure_LostAnswer(t *testing.T) {
	t.Parallel()
	for _, fault := range faults {
		for _, verb := range []string{"incr", "add"} {
			synctest.Test(t, func(t *testing.T) {
				f := setup(t)
				f.SetDelay(time.Minute)
				failing(f, verb, nil, fault.Fault)
				n, err := f.slot.CountFailure()
				if err != nil {
					assertFailure(t, err)
				} else {
					assert.GreaterOrEqual(t, n, 1)
				}
				f.OnCommand(nil)
				m := must(f.slot.CountFailure())(t)
				assert.Greater(t, m, n, "%s of %s", fault.name, verb)
			})
		}
	}
}
