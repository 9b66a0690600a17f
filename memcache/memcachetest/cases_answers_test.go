package memcachetest_test

import (
	"fmt"
	"strings"
)

var casCases = []exchange{
	{name: "cas stores what nobody changed", steps: []step{
		put("a", "1"),
		{"gets a\r\n", "VALUE a 0 1 {one}\r\n1\r\nEND\r\n"},
		{"cas a 3 0 1 {one}\r\n2\r\n", stored},
		{"gets a\r\n", "VALUE a 3 1 {two}\r\n2\r\nEND\r\n"},
		{"cas a 0 0 1 {one}\r\n3\r\n", "EXISTS\r\n"},
		{"gets a\r\n", "VALUE a 3 1 {two}\r\n2\r\nEND\r\n"},
		{"cas b 0 0 1 {one}\r\n3\r\n", "NOT_FOUND\r\n"},
	}, rising: []string{"one", "two"}},
	{name: "cas with exptime -1 is stored and gone", steps: []step{
		put("a", "1"), {"gets a\r\n", "VALUE a 0 1 {id}\r\n1\r\nEND\r\n"}, {"cas a 0 -1 1 {id}\r\n2\r\n", stored}, gone("a"), {"cas a 0 0 1 {id}\r\n3\r\n", "NOT_FOUND\r\n"},
	}},
	{name: "every change of any item takes the next CAS id", steps: []step{
		put("a", "1"), put("b", "1"),
		{"gets a b\r\n", "VALUE a 0 1 {a1}\r\n1\r\nVALUE b 0 1 {b1}\r\n1\r\nEND\r\n"},
		{"incr a 0\r\n", "1\r\n"},
		{"gets a\r\n", "VALUE a 0 1 {a2}\r\n1\r\nEND\r\n"},
		{"append a 0 0 1\r\n1\r\n", stored},
		{"gets a\r\n", "VALUE a 0 2 {a3}\r\n11\r\nEND\r\n"},
		{"decr a 2\r\n", "9\r\n"},
		{"gets a\r\n", "VALUE a 0 {2|1} {a4}\r\n9{ |}\r\nEND\r\n"},
		put("a", "1"),
		{"gets a\r\n", "VALUE a 0 1 {a5}\r\n1\r\nEND\r\n"},
	}, rising: []string{"a1", "b1", "a2", "a3", "a4", "a5"}},
	{name: "touch, gat and what fails leave the CAS id alone", steps: []step{
		put("a", "x"),
		{"gets a\r\n", "VALUE a 0 1 {id}\r\nx\r\nEND\r\n"},
		{"touch a 100\r\n", "TOUCHED\r\n"},
		{"gats 200 a\r\n", "VALUE a 0 1 {id}\r\nx\r\nEND\r\n"},
		{"add a 0 0 1\r\n2\r\n", "NOT_STORED\r\n"},
		{"cas a 0 0 1 0\r\n2\r\n", "EXISTS\r\n"},
		{"incr a 1\r\n", "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"},
		{"gets a\r\n", "VALUE a 0 1 {id}\r\nx\r\nEND\r\n"},
	}},
	{name: "a bad CAS id is refused", steps: []step{
		put("a", "1"),
		{"cas a 0 0 1\r\n2\r\n", "ERROR\r\nERROR\r\n"},
		{"cas a 0 0 1 x\r\n2\r\n", errLine + "ERROR\r\n"},
		{"cas a 0 0 1 99999999999999999999\r\n2\r\n", errLine + "ERROR\r\n"},
		{"cas a 0 0 1 18446744073709551615\r\n2\r\n", "EXISTS\r\n"},
	}},
}

const (
	notNumber = "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
	badDelta  = "CLIENT_ERROR invalid numeric delta argument\r\n"
)

// padded is the answer to a get of a counter that became shorter. Memcached pads it with
// spaces, as the fake always does, unless another of its threads uses the item. Then it
// stores a new, shorter one.
func padded(key, value string, width int) step {
	spaces := strings.Repeat(" ", width-len(value))
	return step{"get " + key + "\r\n", fmt.Sprintf("VALUE %s 0 {%d|%d}\r\n%s{%s|}\r\nEND\r\n", key, width, len(value), value, spaces)}
}

// Values of 2^63 and more are left out: memcached 1.6.18 then looks for a minus sign
// beyond the value's end, with a random result.
var counterCases = []exchange{
	{name: "incr and decr count", steps: []step{
		{"incr n 1\r\n", "NOT_FOUND\r\n"},
		{"decr n 1\r\n", "NOT_FOUND\r\n"},
		{"set n 7 0 2\r\n98\r\n", stored},
		{"incr n 5\r\n", "103\r\n"},
		{"get n\r\n", "VALUE n 7 3\r\n103\r\nEND\r\n"},
		{"decr n 100\r\n", "3\r\n"},
		{"get n\r\n", "VALUE n 7 {3|1}\r\n3{  |}\r\nEND\r\n"},
		{"incr n 1\r\n", "4\r\n"},
	}},
	{name: "incr wraps at 64 bits and decr stops at zero", steps: []step{
		put("n", "9223372036854775807"),
		{"incr n 9223372036854775810\r\n", "1\r\n"},
		padded("n", "1", 19),
		{"decr n 5\r\n", "0\r\n"},
		put("n", "5"),
		{"incr n 18446744073709551615\r\n", "4\r\n"},
		{"incr n 18446744073709551616\r\n", badDelta},
	}},
	{name: "incr wants numbers", steps: []step{
		put("n", "abc"),
		{"incr n 1\r\n", notNumber},
		put("n", ""),
		{"incr n 1\r\n", notNumber},
		put("n", "-5"),
		{"incr n 1\r\n", notNumber},
		put("n", "12ab"),
		{"incr n 1\r\n", notNumber},
		put("n", "184467440737095516150"),
		{"incr n 1\r\n", notNumber},
		put("n", "++"),
		{"incr n 1\r\n", notNumber},
		{"incr n x\r\n", badDelta},
		{"incr n -1\r\n", badDelta},
		{"incr n 1x\r\n", badDelta},
		{"decr n x\r\n", badDelta},
		hit("n", "++"),
	}},
	{name: "incr is lenient about spaces, a plus and zeros", steps: []step{
		put("n", " 12"),
		{"incr n 1\r\n", "13\r\n"},
		put("n", "12 "),
		{"incr n 1\r\n", "13\r\n"},
		put("n", "+5"),
		{"incr n +1\r\n", "6\r\n"},
		put("n", "005"),
		{"incr n 1\r\n", "6\r\n"},
		padded("n", "6", 3), put("n", "12 34"),
		{"incr n 1\r\n", "13\r\n"},
		padded("n", "13", 5),
		{"incr n 1 x\r\n", "14\r\n"},
	}},
}

var lookupCases = []exchange{
	{name: "a get of many answers in the order asked", steps: []step{
		put("a", "1"), put("b", "2"), put("c", "3"),
		{"get c x a b a\r\n", "VALUE c 0 1\r\n3\r\nVALUE a 0 1\r\n1\r\nVALUE b 0 1\r\n2\r\nVALUE a 0 1\r\n1\r\nEND\r\n"},
		{"gets b zz c\r\n", "VALUE b 0 1 {b}\r\n2\r\nVALUE c 0 1 {c}\r\n3\r\nEND\r\n"},
		{"get x y z\r\n", miss},
	}, rising: []string{"b", "c"}},
	{name: "gat gets and touches", steps: []step{
		put("a", "1"),
		{"gat 100 a x\r\n", "VALUE a 0 1\r\n1\r\nEND\r\n"},
		{"mg a t\r\n", "HD t{100|99}\r\n"},
		{"gats 0 a\r\n", "VALUE a 0 1 {id}\r\n1\r\nEND\r\n"},
		{"mg a t\r\n", "HD t-1\r\n"},
		{"gat -1 a\r\n", "VALUE a 0 1\r\n1\r\nEND\r\n"},
		gone("a"),
		{"gat 1\r\n", miss},
		{"gat\r\n", "ERROR\r\n"},
		{"gats\r\n", "ERROR\r\n"},
		{"gat x a\r\n", "CLIENT_ERROR invalid exptime argument\r\n"},
	}},
	{name: "commands in a row are answered in a row", steps: []step{
		{"set a 0 0 1\r\n1\r\nget a\r\nfoo\r\nset a 0 0 1 noreply\r\n2\r\nget a x\r\ndelete a\r\n", stored + "VALUE a 0 1\r\n1\r\nEND\r\nERROR\r\nVALUE a 0 1\r\n2\r\nEND\r\nDELETED\r\n"},
	}},
	{name: "a bare line feed ends a line, and spaces may be many", steps: []step{
		{"set a 0 0 1\n1\r\n", stored}, {"get a\n", "VALUE a 0 1\r\n1\r\nEND\r\n"}, {"  set  a  0  0  1 \r\n2\r\n", stored}, {" get  a \r\n", "VALUE a 0 1\r\n2\r\nEND\r\n"},
	}},
	{name: "version, verbosity and quit", steps: []step{
		{"version\r\n", "VERSION {…}\r\n"},
		{"version foo\r\n", "VERSION {…}\r\n"},
		{"verbosity 0\r\n", "OK\r\n"},
		{"verbosity\r\n", "ERROR\r\n"},
		{"verbosity x\r\n", errLine},
		put("a", "1"),
		{"get a\r\nquit\r\n", "VALUE a 0 1\r\n1\r\nEND\r\n(closed)"},
		{"quit now\r\n", "(closed)"},
		hit("a", "1"),
	}},
	{name: "stats foo is unknown", steps: []step{{"stats foo\r\n", "ERROR\r\n"}, {"stats reset\r\n", "RESET\r\n"}}},
}

var metaCases = []exchange{
	{name: "mg answers what its flags ask", steps: []step{
		{"set a 7 0 2\r\nhi\r\n", stored},
		{"mg a\r\n", "HD\r\n"},
		{"mg a t v\r\n", "VA 2 t-1\r\nhi\r\n"},
		{"mg a v\r\n", "VA 2\r\nhi\r\n"},
		{"mg a f c k s v t\r\n", "VA 2 f7 c{id} ka s2 t-1\r\nhi\r\n"},
		{"mg a v  s f\r\n", "VA 2 s2 f7\r\nhi\r\n"},
		{"mg a q k\r\n", "HD ka\r\n"},
	}},
	{name: "mg misses", steps: []step{{"mg x v\r\n", "EN\r\n"}, {"mg x k v\r\n", "EN kx\r\n"}, {"mg x q v\r\n", ""}}},
	{name: "mg t is the time left", steps: []step{
		{"set a 0 100 1\r\n1\r\n", stored},
		{"mg a t v\r\n", "VA 1 t{100|99}\r\n1\r\n"},
		{"touch a 50\r\n", "TOUCHED\r\n"},
		{"mg a t\r\n", "HD t{50|49}\r\n"},
		{"incr a 1\r\n", "2\r\n"},
		{"append a 0 900 1\r\n0\r\n", stored},
		{"mg a t\r\n", "HD t{50|49}\r\n"},
		{"touch a 0\r\n", "TOUCHED\r\n"},
		{"mg a t\r\n", "HD t-1\r\n"},
	}},
	{name: "mg refuses bad flags", steps: []step{
		put("a", "1"), {"mg a z\r\n", "CLIENT_ERROR invalid flag\r\n"}, {"mg a 5\r\n", "CLIENT_ERROR invalid flag\r\n"}, {"mg a v v\r\n", "CLIENT_ERROR duplicate flag\r\n"}, {"mg\r\n", "ERROR\r\n"},
	}},
}

var errorCases = []exchange{
	{name: "unknown commands", steps: []step{
		{"foo\r\n", "ERROR\r\n"}, {"\r\n", "ERROR\r\n"}, {" \r\n", "ERROR\r\n"}, {"GET a\r\n", "ERROR\r\n"}, {"versionx\r\n", "ERROR\r\n"},
	}},
	{name: "too few words, or too many", steps: []step{
		{"get\r\n", "ERROR\r\n"},
		{"gets \r\n", "ERROR\r\n"},
		{"set\r\n", "ERROR\r\n"},
		{"set a 0 0\r\n", "ERROR\r\n"},
		{"set a 0 0 1 x y\r\n", "ERROR\r\n"},
		{"incr a\r\n", "ERROR\r\n"},
		{"incr a 1 2 3\r\n", "ERROR\r\n"},
		{"delete\r\n", "ERROR\r\n"},
		{"delete a 0 noreply x\r\n", "ERROR\r\n"},
		{"touch a\r\n", "ERROR\r\n"},
		{"verbosity 0 0 0\r\n", "ERROR\r\n"},
		{"flush_all 1 2 3\r\n", "ERROR\r\n"},
	}},
	{name: "words that are no numbers", steps: []step{
		put("a", "old"),
		{"set a x 0 1\r\n", errLine},
		{"set a -1 0 1\r\n", errLine},
		{"set a 0 x 1\r\n", errLine},
		{"set a 0 1.5 1\r\n", errLine},
		{"set a 0 0 x\r\n", errLine},
		{"set a 0 0 1x\r\n", errLine},
		{"set a 0 0 -1\r\n", errLine},
		{"set a 0 0 3000000000\r\n", errLine},
		{"set a 18446744073709551616 0 1\r\n", errLine},
		{"touch a x\r\n", "CLIENT_ERROR invalid exptime argument\r\n"},
		{"flush_all x\r\n", "CLIENT_ERROR invalid exptime argument\r\n"},
		hit("a", "old"),
		{"set a 0 0 1 x\r\n2\r\n", stored},
	}},
	{name: "delete takes no time", steps: []step{
		{"delete a 5\r\n", "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n"}, {"delete a 0 0\r\n", "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n"},
	}},
	{name: "a value longer than it says", steps: []step{
		put("a", "old"),
		{"set a 0 0 1\r\n123\r\n", errChunk + "ERROR\r\n"},
		{"set a 0 0 1\r\n12\r\n", errChunk + "ERROR\r\n"},
		{"set a 0 0 1 noreply\r\n123\r\n", "ERROR\r\n"},
		hit("a", "old"),
		{"set a 0 0 2\r\n1\r\n\r\n", errChunk + "ERROR\r\n"},
	}},
}

var exptimeCases = []exchange{
	{name: "a negative exptime is over at once", steps: []step{
		put("a", "1"),
		{"set a 0 -1 1\r\n2\r\n", stored},
		gone("a"),
		{"add a 0 -1 1\r\n2\r\n", stored},
		gone("a"),
		{"add a 0 0 1\r\n2\r\n", stored},
		{"replace a 0 -5 1\r\n2\r\n", stored},
		gone("a"),
		{"replace a 0 0 1\r\n2\r\n", "NOT_STORED\r\n"},
		put("a", "1"),
		{"touch a -1\r\n", "TOUCHED\r\n"},
		gone("a"),
		{"touch a 5\r\n", "NOT_FOUND\r\n"},
	}},
	{name: "more than 30 days is Unix time", steps: []step{
		{"set a 0 2592000 1\r\n1\r\n", stored},
		{"mg a t\r\n", "HD t{2592000|2591999}\r\n"},
		{"set a 0 2592001 1\r\n1\r\n", stored},
		gone("a"),
		{"set a 0 {now+1000} 1\r\n1\r\n", stored},
		{"mg a t\r\n", "HD t{1001|1000|999}\r\n"},
	}},
	{name: "an exptime has 32 bits", steps: []step{
		{"set a 0 9999999999 1\r\n1\r\n", stored}, gone("a"), {"set a 0 2147483648 1\r\n1\r\n", stored}, gone("a"), {"set a 0 -2147483649 1\r\n1\r\n", stored}, hit("a", "1"),
	}},
}
