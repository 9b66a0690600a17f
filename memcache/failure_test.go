package memcache_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// faults are the faults without an answer in time.
var faults = []struct {
	memcachetest.Fault
	name string
}{
	{memcachetest.Refuse, "Refuse"},
	{memcachetest.Hang, "Hang"},
	{memcachetest.HangAfter, "HangAfter"},
	{memcachetest.DropBefore, "DropBefore"},
	{memcachetest.DropAfter, "DropAfter"},
	{memcachetest.DropMid, "DropMid"},
	{memcachetest.ServerError, "ServerError"},
	{memcachetest.Slow, "Slow, too late"},
}

// assertFailure asserts that err means a failure of memcached: it is not an answer, and
// contains no value.
func assertFailure(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	for _, answer := range []error{
		memcache.ErrMiss, memcache.ErrDamaged, memcache.ErrConflict, memcache.ErrHeld, memcache.ErrLost, memcache.ErrBadAppID,
	} {
		require.NotErrorIs(t, err, answer)
	}
	assert.NotContains(t, err.Error(), canary)
}

// scene is a store on which every operation can run.
type scene struct {
	store    *memcache.Store
	slot     *memcache.Slot
	view     memcache.View
	lease    *memcache.Lease
	spent    memcache.Spent // on slot
	other    *memcache.Slot // its lease is free
	cooldown memcache.LeaseSeen
	cooling  *memcache.Slot // its fleet cools down
}

func newScene(t *testing.T, store *memcache.Store) *scene {
	t.Helper()
	slots := manySlots(t, store, 3)
	sc := &scene{store: store, slot: slots[0], other: slots[1], cooling: slots[2]}
	require.NoError(t, sc.slot.PutEntry(memcache.Entry{}, token1, time.Hour))
	require.NoError(t, sc.slot.PutRecord(memcache.Seen{}, newRecord(token1), time.Hour))
	var err error
	sc.lease, err = sc.slot.TakeLease()
	require.NoError(t, err)
	sc.view, err = sc.slot.Poll()
	require.NoError(t, err)
	var ok bool
	sc.spent, ok, err = sc.slot.Spend(memcache.MarkBudget, 1, time.Hour)
	require.NoError(t, err)
	require.True(t, ok)
	lease := must(sc.cooling.TakeLease())(t)
	require.NoError(t, lease.CoolDown(memcache.Cooldown{Class: "person", ErrCode: 40125}, time.Hour))
	sc.cooldown, err = sc.cooling.Lease()
	require.NoError(t, err)
	return sc
}

// operations are all operations with a request to memcached.
var operations = map[string]func(sc *scene) error{
	"Ping":                   func(sc *scene) error { return sc.store.Ping() },
	"Get":                    func(sc *scene) error { _, err := sc.slot.Get(); return err },
	"Get, a miss":            func(sc *scene) error { _, err := sc.other.Get(); return err },
	"Entry":                  func(sc *scene) error { _, err := sc.slot.Entry(); return err },
	"Record":                 func(sc *scene) error { _, err := sc.slot.Record(); return err },
	"Poll":                   func(sc *scene) error { _, err := sc.slot.Poll(); return err },
	"PutEntry by add":        func(sc *scene) error { return sc.other.PutEntry(memcache.Entry{}, token2, time.Hour) },
	"PutEntry by swap":       func(sc *scene) error { return sc.slot.PutEntry(sc.view.Entry, token2, time.Hour) },
	"PutRecord by add":       func(sc *scene) error { return sc.other.PutRecord(memcache.Seen{}, newRecord(token2), time.Hour) },
	"PutRecord by swap":      func(sc *scene) error { return sc.slot.PutRecord(sc.view.Record, newRecord(token2), time.Hour) },
	"Lease":                  func(sc *scene) error { _, err := sc.slot.Lease(); return err },
	"TakeLease":              func(sc *scene) error { _, err := sc.other.TakeLease(); return err },
	"TakeOver":               func(sc *scene) error { _, err := sc.cooling.TakeOver(sc.cooldown); return err },
	"Verify":                 func(sc *scene) error { return sc.lease.Verify() },
	"Release":                func(sc *scene) error { return sc.lease.Release() },
	"CoolDown":               func(sc *scene) error { return sc.lease.CoolDown(memcache.Cooldown{Class: "person"}, time.Minute) },
	"Mark":                   func(sc *scene) error { _, err := sc.slot.Mark(memcache.MarkReportThrottle, time.Minute); return err },
	"Spend":                  func(sc *scene) error { _, _, err := sc.slot.Spend(memcache.MarkBudget, 3, time.Minute); return err },
	"GiveBack":               func(sc *scene) error { return sc.slot.GiveBack(sc.spent) },
	"CountRequest":           func(sc *scene) error { _, err := sc.slot.CountRequest(20261123); return err },
	"CountFailure":           func(sc *scene) error { _, err := sc.slot.CountFailure(); return err },
	"ForgetFailures":         func(sc *scene) error { return sc.slot.ForgetFailures() },
	"ForgetFailures, if any": func(sc *scene) error { return sc.other.ForgetFailures() },
	"MarkWith": func(sc *scene) error {
		_, _, err := sc.slot.MarkWith("report_throttle", "valid", time.Minute)
		return err
	},
	"Remark":               func(sc *scene) error { _, err := sc.slot.Remark("recent_report", "valid", time.Minute); return err },
	"Poll of all accounts": func(sc *scene) error { _, err := sc.store.Poll([]*memcache.Slot{sc.slot, sc.other}); return err },
}

// No operation returns a failure as an answer.
func TestFailure_IsNeverAnAnswer(t *testing.T) {
	t.Parallel()
	for _, fault := range faults {
		for name, operation := range operations {
			t.Run(fault.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					f := setup(t)
					sc := newScene(t, f.store)
					f.SetDelay(time.Minute)
					f.SetFault(fault.Fault)
					began := time.Now()
					assertFailure(t, operation(sc))
					assert.LessOrEqual(t, time.Since(began), 2*memcache.DefaultTimeout, "no call waits for long")
				})
			})
		}
	}
}

// Every operation works again after each fault.
func TestFailure_WorksAgainOnceHealed(t *testing.T) {
	t.Parallel()
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := setup(t)
				f.SetDelay(time.Minute)
				f.SetFault(fault.Fault)
				for range 10 {
					assertFailure(t, f.store.Ping())
				}
				f.SetFault(memcachetest.None)
				_, err := f.slot.Get()
				require.ErrorIs(t, err, memcache.ErrMiss)
				assert.NoError(t, f.store.Ping())
			})
		})
	}
}

// A slow answer within the timeout is an answer.
func TestFailure_SlowAnswerIsAnAnswer(t *testing.T) {
	t.Parallel()
	for name, operation := range operations {
		synctest.Test(t, func(t *testing.T) {
			f := setup(t)
			sc := newScene(t, f.store)
			f.SetDelay(memcache.DefaultTimeout - 1)
			f.SetFault(memcachetest.Slow)
			if err := operation(sc); name == "Get, a miss" {
				require.ErrorIs(t, err, memcache.ErrMiss)
			} else {
				require.NoError(t, err, name)
			}
		})
	}
}
