package memcache_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// example is a slot on a memcached within the process.
func example() (*memcachetest.Server, *memcache.Slot) {
	server := memcachetest.New()
	store, err := memcache.New(memcache.Config{Dial: server.Dial})
	if err != nil {
		panic(err)
	}
	slot, err := store.Slot("wx0123456789abcdef", memcache.AccessToken)
	if err != nil {
		panic(err)
	}
	return server, slot
}

func ExampleNew() {
	store, err := memcache.New(memcache.Config{
		Servers: []string{"memcached:11211"}, // resolved at every dial
		Prefix:  "prod:",
		Timeout: 100 * time.Millisecond,
	})
	fmt.Println(store != nil, err)
	_, err = memcache.New(memcache.Config{Servers: []string{"memcached"}})
	fmt.Println(err)
	// Output:
	// true <nil>
	// memcache: server "memcached" is neither host:port nor /path/to.sock; write it like memcached:11211
}

func ExampleStore_Slot() {
	store, _ := memcache.New(memcache.Config{})
	_, err := store.Slot("wx 1", memcache.AccessToken)
	fmt.Println(err)
	// Output: memcache: AppID does not match [A-Za-z0-9_-]{1,64}
}

// What an app does: one round trip, and whatever is no token is asked for elsewhere.
func ExampleSlot_Get() {
	server, slot := example()
	defer func() { _ = server.Close() }()

	_, err := slot.Get()
	fmt.Println(errors.Is(err, memcache.ErrMiss))
	server.Put("wx0123456789abcdef", "N;", 1, 3600) // PHP's null
	_, err = slot.Get()
	fmt.Println(err)
	server.Put("wx0123456789abcdef", token1, 0, 3600)
	token, err := slot.Get()
	fmt.Println(memcache.Fingerprint(token), err)
	// Output:
	// true
	// memcache: entry is damaged
	// 45d69800 <nil>
}

// What a sidecar does: it replaces what it saw, and nothing else.
func ExampleSlot_PutEntry() {
	server, slot := example()
	defer func() { _ = server.Close() }()

	seen, _ := slot.Entry()
	fmt.Println(slot.PutEntry(seen, token1, time.Hour))
	fmt.Println(slot.PutEntry(seen, token2, time.Hour))
	// Output:
	// <nil>
	// memcache: value changed since it was read
}

func ExampleSlot_PutRecord() {
	server, slot := example()
	defer func() { _ = server.Close() }()

	now := time.Now()
	next := &memcache.Record{
		V: memcache.RecordVersion, Token: token1, Number: now.UnixMilli(), Issued: now.Unix(), Expires: now.Unix() + 7200, API: "token", By: "pod-7f9c",
	}
	seen, _ := slot.Record()
	if older := seen.Record; older != nil {
		next.Number = max(next.Number, older.Number+1)
		next.Past = older.PastAfter(next.Token)
	}
	fmt.Println(slot.PutRecord(seen, next, next.Life()))
	fmt.Println(server.Keys())
	// Output:
	// <nil>
	// [wx0123456789abcdef:record]
}

func ExampleStore_Poll() {
	server := memcachetest.New()
	defer func() { _ = server.Close() }()
	store, _ := memcache.New(memcache.Config{Dial: server.Dial})
	var slots []*memcache.Slot
	for _, appID := range []string{"wx1", "wx2"} {
		slot, _ := store.Slot(appID, memcache.AccessToken)
		slots = append(slots, slot)
	}
	server.Put("wx2", token1, 0, 3600)
	views, err := store.Poll(slots)
	fmt.Println(err, views[0].Entry.Token == "", views[1].Entry.Token == token1, server.Count("gets"))
	// Output: <nil> true true 1
}

func ExampleSlot_TakeLease() {
	server, slot := example()
	defer func() { _ = server.Close() }()

	lease, err := slot.TakeLease()
	fmt.Println(err, lease.Left() > 13*time.Second)
	_, err = slot.TakeLease()
	fmt.Println(err)
	fmt.Println(lease.Verify(), lease.Release(), lease.Verify())
	// Output:
	// <nil> true
	// memcache: lease is held
	// <nil> <nil> memcache: lease is lost
}

func ExampleLease_CoolDown() {
	server, slot := example()
	defer func() { _ = server.Close() }()

	lease, _ := slot.TakeLease()
	_ = lease.CoolDown(memcache.Cooldown{Class: "person", ErrCode: 40125, Secret: "1f3870be"}, time.Minute)
	seen, _ := slot.Lease()
	fmt.Println(seen.Held, seen.Cooldown.Class, seen.Cooldown.ErrCode)
	_, err := slot.TakeLease()
	fmt.Println(err)
	_, err = slot.TakeOver(seen) // for another AppSecret
	fmt.Println(err)
	// Output:
	// false person 40125
	// memcache: lease is held
	// <nil>
}

func ExampleSlot_Mark() {
	server, slot := example()
	defer func() { _ = server.Close() }()
	for range 2 {
		fmt.Println(slot.Mark(memcache.MarkReportThrottle, 31*time.Second))
	}
	// Output:
	// true <nil>
	// false <nil>
}

func ExampleSlot_Spend() {
	server, slot := example()
	defer func() { _ = server.Close() }()
	for range 3 {
		_, ok, err := slot.Spend(memcache.MarkBudget, 2, 10*time.Minute)
		fmt.Println(ok, err)
	}
	// Output:
	// true <nil>
	// true <nil>
	// false <nil>
}

// A request that was not sent does not count.
func ExampleSlot_GiveBack() {
	server, slot := example()
	defer func() { _ = server.Close() }()
	for range 3 {
		spent, ok, _ := slot.Spend(memcache.MarkBudget, 1, 10*time.Minute)
		fmt.Println(ok, slot.GiveBack(spent))
	}
	// Output:
	// true <nil>
	// true <nil>
	// true <nil>
}

// A claim is written before the request, and read back.
func ExampleRecord_Clone() {
	server, slot := example()
	defer func() { _ = server.Close() }()
	server.Put("wx0123456789abcdef:record", `{"v":1,"number":5,"later":"kept"}`, 0, 3600)

	seen, _ := slot.Record()
	claim := seen.Record.Clone()
	claim.Number, claim.Doubt, claim.Claim = 7, time.Now().Unix()+75, "3f1c"
	fmt.Println(slot.PutRecord(seen, claim, time.Hour))
	there, _ := slot.Record()
	fmt.Println(there.Holds(claim), there.Holds(seen.Record))
	// Output:
	// <nil>
	// true false
}

func ExampleSlot_CountFailure() {
	server, slot := example()
	defer func() { _ = server.Close() }()
	fmt.Println(slot.CountFailure())
	fmt.Println(slot.CountFailure())
	fmt.Println(slot.ForgetFailures())
	fmt.Println(slot.CountFailure())
	// Output:
	// 1 <nil>
	// 2 <nil>
	// <nil>
	// 1 <nil>
}

func ExampleFingerprint() {
	fmt.Println(memcache.Fingerprint("test"))
	// Output: 9f86d081
}

func ExampleSecurity_Check() {
	_, ofCAFile, _ := memcache.Security{CAFile: "/etc/ssl/ca.pem"}.Check([]string{"memcached:11211"})
	fmt.Println(ofCAFile)
	// Output: TLS is off; set MEMCACHED_TLS=true, or leave this unset
}

func ExampleMisconfigured() {
	fmt.Println(memcache.Misconfigured(memcache.ErrPassword), memcache.Misconfigured(memcache.ErrMemory))
	// Output: true false
}
