package memcachetest_test

import (
	"fmt"
	"strings"
)

// exchange is one case: a request, and the answer of every memcached.
type exchange struct {
	name   string
	steps  []step
	rising []string // the CAS ids seen that grow from one to the next
}

type step struct{ send, want string }

const (
	errLine  = "CLIENT_ERROR bad command line format\r\n"
	errChunk = "CLIENT_ERROR bad data chunk\r\n"
	tooLarge = "SERVER_ERROR object too large for cache\r\n"
	stored   = "STORED\r\n"
	miss     = "END\r\n"
)

var (
	longest = strings.Repeat("k", 250)
	longer  = longest + "k"
)

// put sets a value; hit is the answer to a get of it.
func put(key, value string) step {
	return step{fmt.Sprintf("set %s 0 0 %d\r\n%s\r\n", key, len(value), value), stored}
}

func hit(key, value string) step {
	return step{"get " + key + "\r\n", fmt.Sprintf("VALUE %s 0 %d\r\n%s\r\nEND\r\n", key, len(value), value)}
}

func gone(key string) step { return step{"get " + key + "\r\n", miss} }

// sized is a storage command with a value of n bytes.
func sized(verb string, flags, n int) string {
	return fmt.Sprintf("%s big %d 0 %d\r\n%s\r\n", verb, flags, n, strings.Repeat("x", n))
}

// conformance has the cases with equal answers of memcached 1.6 and the fake.
var conformance = slicesOf(storageCases, casCases, counterCases, lookupCases, metaCases, errorCases, exptimeCases)

func slicesOf(parts ...[]exchange) (all []exchange) {
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

var storageCases = []exchange{
	{name: "a set value comes back", steps: []step{put("a", "hello"), hit("a", "hello"), put("a", ""), hit("a", ""), put("a", "2"), hit("a", "2")}},
	{name: "a value may hold any bytes", steps: []step{put("a", "\r\nEND\r\nVALUE a 0 1\r\n\x00\xff\n"), hit("a", "\r\nEND\r\nVALUE a 0 1\r\n\x00\xff\n")}},
	{name: "flags come back", steps: []step{
		{"set a 4294967295 0 1\r\n1\r\n", stored},
		{"get a\r\n", "VALUE a 4294967295 1\r\n1\r\nEND\r\n"},
		{"set a 4294967297 0 1\r\n1\r\n", stored},
		{"get a\r\n", "VALUE a 1 1\r\n1\r\nEND\r\n"},
	}},
	{name: "add stores what is not there", steps: []step{
		{"add a 0 0 1\r\n1\r\n", stored}, {"add a 0 0 1\r\n2\r\n", "NOT_STORED\r\n"}, hit("a", "1"),
	}},
	{name: "replace stores what is there", steps: []step{
		{"replace a 0 0 1\r\n1\r\n", "NOT_STORED\r\n"}, gone("a"), put("a", "1"), {"replace a 0 0 1\r\n2\r\n", stored}, hit("a", "2"),
	}},
	{name: "append and prepend keep the flags", steps: []step{
		{"append a 0 0 1\r\n1\r\n", "NOT_STORED\r\n"},
		{"prepend a 0 0 1\r\n1\r\n", "NOT_STORED\r\n"},
		{"set a 5 0 1\r\nb\r\n", stored},
		{"append a 9 0 1\r\nc\r\n", stored},
		{"prepend a 9 0 1\r\na\r\n", stored},
		{"get a\r\n", "VALUE a 5 3\r\nabc\r\nEND\r\n"},
	}},
	{name: "delete removes", steps: []step{
		{"delete a\r\n", "NOT_FOUND\r\n"},
		put("a", "1"),
		{"delete a\r\n", "DELETED\r\n"},
		gone("a"),
		put("a", "1"),
		{"delete a 0\r\n", "DELETED\r\n"},
		put("a", "1"),
		{"delete a 0 noreply\r\n", ""},
		gone("a"),
	}},
	{name: "noreply is carried out in silence", steps: []step{
		{"set a 0 0 1 noreply\r\n1\r\n", ""},
		{"add a 0 0 1 noreply\r\n2\r\n", ""},
		hit("a", "1"),
		{"replace a 0 0 1 noreply\r\n3\r\n", ""},
		{"append a 0 0 1 noreply\r\n4\r\n", ""},
		{"prepend a 0 0 1 noreply\r\n2\r\n", ""},
		hit("a", "234"),
		{"incr a 1 noreply\r\n", ""},
		{"decr a 2 noreply\r\n", ""},
		hit("a", "233"),
		{"touch a 0 noreply\r\n", ""},
		{"gets a\r\n", "VALUE a 0 3 {id}\r\n233\r\nEND\r\n"},
		{"cas a 0 0 1 {id} noreply\r\n5\r\n", ""},
		hit("a", "5"),
		{"cas a 0 0 1 {id} noreply\r\n6\r\n", ""},
		hit("a", "5"),
		{"delete a noreply\r\n", ""},
		{"delete a noreply\r\n", ""},
		gone("a"),
		put("a", "1"),
		{"flush_all noreply\r\n", ""},
		gone("a"),
		{"verbosity 0 noreply\r\n", ""},
	}},
	{name: "errors are silent after noreply", steps: []step{
		{"set q 0 0 x noreply\r\n", ""},
		{"incr q x noreply\r\n", ""},
		{"touch q x noreply\r\n", ""},
		{"set " + longer + " 0 0 1 noreply\r\n", ""},
		{"delete q x noreply\r\n", ""},
	}},
	{name: "flush_all empties", steps: []step{put("a", "1"), put("b", "1"), {"flush_all\r\n", "OK\r\n"}, gone("a b"), put("a", "2"), hit("a", "2"), {"flush_all 0\r\n", "OK\r\n"}, gone("a")}},
	{name: "keys may have 250 bytes and no more", steps: []step{
		put(longest, "1"), hit(longest, "1"),
		{"delete " + longest + "\r\n", "DELETED\r\n"},
		{"set " + longer + " 0 0 1\r\n1\r\n", errLine + "ERROR\r\n"},
		{"get " + longer + "\r\n", errLine},
		{"get a " + longer + "\r\n", errLine},
		{"gat 0 " + longer + "\r\n", errLine},
		{"gat x " + longer + "\r\n", "CLIENT_ERROR invalid exptime argument\r\n"},
		{"touch " + longer + " x\r\n", errLine},
		{"delete " + longer + "\r\n", errLine},
		{"incr " + longer + " 1\r\n", errLine},
		{"touch " + longer + " 0\r\n", errLine},
		{"mg " + longer + " v\r\n", errLine},
	}},
	{name: "keys may hold anything but spaces and line ends", steps: []step{put("a\tb\x01\xff\r", "1"), hit("a\tb\x01\xff\r", "1")}},
	{name: "an item of 1 MiB with its header fits, one byte more does not", steps: []step{
		{sized("set", 0, 1048514), stored},
		{sized("set", 0, 1048515), tooLarge},
		{sized("set", 1, 1048510), stored},
		{sized("set", 1, 1048511), tooLarge},
		{"get big\r\n", miss},
		{sized("set", 0, 2<<20), tooLarge},
		{sized("add", 0, 1<<20), tooLarge},
	}},
	{name: "a big value comes back", steps: []step{put("big", strings.Repeat("0123456789", 100_000)), hit("big", strings.Repeat("0123456789", 100_000))}},
	{name: "a set that is too large removes the old value, the others keep it", steps: []step{
		put("big", "1"),
		{sized("add", 0, 1<<20), tooLarge},
		hit("big", "1"),
		{sized("replace", 0, 1<<20), tooLarge},
		hit("big", "1"),
		{sized("append", 0, 1<<20), tooLarge},
		hit("big", "1"),
		{sized("set", 0, 1<<20), tooLarge},
		gone("big"),
		put("big", strings.Repeat("x", 600_000)),
		{sized("append", 0, 600_000), "NOT_STORED\r\n"},
		{"mg big s\r\n", "HD s600000\r\n"},
	}},
}

// lifetime is one case of the clock. After the steps, the key lives for more than life-1
// and at most life seconds.
type lifetime struct {
	name  string
	key   string
	steps []step
	life  int
}

var lifetimes = []lifetime{
	{name: "a set with exptime 1", key: "l1", steps: []step{{"set l1 0 1 1\r\n1\r\n", stored}}, life: 1},
	{name: "a set with exptime 2", key: "l2", steps: []step{{"set l2 0 2 1\r\n1\r\n", stored}, hit("l2", "1")}, life: 2},
	{name: "an add with exptime 2", key: "l3", steps: []step{{"add l3 0 2 1\r\n1\r\n", stored}}, life: 2},
	{name: "touch extends", key: "l4", steps: []step{{"set l4 0 2 1\r\n1\r\n", stored}, {"touch l4 3\r\n", "TOUCHED\r\n"}}, life: 3},
	{name: "touch shortens", key: "l5", steps: []step{{"set l5 0 0 1\r\n1\r\n", stored}, {"touch l5 2\r\n", "TOUCHED\r\n"}}, life: 2},
	{name: "gat extends", key: "l6", steps: []step{{"set l6 0 2 1\r\n1\r\n", stored}, {"gat 3 l6\r\n", "VALUE l6 0 1\r\n1\r\nEND\r\n"}}, life: 3},
	{name: "incr does not extend", key: "l7", steps: []step{{"set l7 0 3 1\r\n9\r\n", stored}, {"incr l7 1\r\n", "10\r\n"}}, life: 3},
	{name: "append does not extend", key: "l8", steps: []step{{"set l8 0 3 1\r\n9\r\n", stored}, {"append l8 0 0 1\r\n1\r\n", stored}}, life: 3},
	{name: "an absolute time", key: "l9", steps: []step{{"set l9 0 {now-1} 1\r\n1\r\n", stored}}, life: 0},
}
