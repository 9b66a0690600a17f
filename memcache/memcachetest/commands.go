package memcachetest

import (
	"strconv"
	"strings"
)

// Version is the answer of the command version: the memcached that the answers were
// compared with.
const Version = "1.6.18"

// command says how a verb is parsed and run.
type command struct {
	verb        string
	least, most int  // words after the verb; most -1 means any number
	quiet       bool // noreply as the last word suppresses the answer
	keyed       bool // the first word is a key
	aged        bool // the first word is an exptime, for each
	late        bool // the length of a key is checked after the other words
	each        step // runs for each key, then the answer is END
	once        step // runs once
	read        func(r *request, words [][]byte) string
}

// commands are all known verbs.
var commands = func() map[string]*command {
	table := make(map[string]*command)
	for _, c := range []command{
		{verb: "get", least: 1, most: -1, each: get},
		{verb: "gets", least: 1, most: -1, each: get},
		{verb: "gat", least: 1, most: -1, aged: true, late: true, each: get, read: readGat},
		{verb: "gats", least: 1, most: -1, aged: true, late: true, each: get, read: readGat},
		{verb: "set", least: 4, most: 5, quiet: true, keyed: true, once: set, read: readStorage},
		{verb: "add", least: 4, most: 5, quiet: true, keyed: true, once: set, read: readStorage},
		{verb: "replace", least: 4, most: 5, quiet: true, keyed: true, once: set, read: readStorage},
		{verb: "append", least: 4, most: 5, quiet: true, keyed: true, once: extend, read: readStorage},
		{verb: "prepend", least: 4, most: 5, quiet: true, keyed: true, once: extend, read: readStorage},
		{verb: "cas", least: 5, most: 6, quiet: true, keyed: true, once: set, read: readStorage},
		{verb: "delete", least: 1, most: 3, quiet: true, keyed: true, late: true, once: remove, read: readDelete},
		{verb: "incr", least: 2, most: 3, quiet: true, keyed: true, once: count, read: readDelta},
		{verb: "decr", least: 2, most: 3, quiet: true, keyed: true, once: count, read: readDelta},
		{verb: "touch", least: 2, most: 3, quiet: true, keyed: true, once: touch, read: readTouch},
		{verb: "flush_all", most: 2, quiet: true, once: flushAll, read: readFlush},
		{verb: "version", most: -1, once: version},
		{verb: "verbosity", least: 1, most: 2, quiet: true, once: verbosity, read: readVerbosity},
		{verb: "stats", most: -1, once: stats},
		{verb: "quit", most: -1},
		{verb: "mn", most: -1, once: metaNoop},
		{verb: "mg", least: 1, most: -1, keyed: true, once: metaGet, read: readMeta},
	} {
		table[c.verb] = &c
	}
	return table
}()

// get runs get, gets, gat and gats for one key.
func get(st *store, r *request, out []byte) []byte {
	e := st.find(r.key)
	tally(e != nil, &st.counters.getHits, &st.counters.getMisses)
	if e == nil {
		return out
	}
	if r.aged {
		e.expires = st.deadline(r.exptime)
	}
	out = append(out, "VALUE "...)
	out = append(out, r.key...)
	out = append(out, ' ')
	out = strconv.AppendUint(out, uint64(e.flags), 10)
	out = append(out, ' ')
	out = strconv.AppendInt(out, int64(len(e.value)), 10)
	if r.verb == "gets" || r.verb == "gats" {
		out = append(out, ' ')
		out = strconv.AppendUint(out, e.cas, 10)
	}
	out = append(out, "\r\n"...)
	out = append(out, e.value...)
	return append(out, "\r\n"...)
}

// set runs set, add, replace and cas.
func set(st *store, r *request, out []byte) []byte {
	if r.tooLarge {
		if r.verb == "set" {
			st.remove(r.key) // memcached keeps no old value
		}
		return append(out, answerTooLarge...)
	}
	old := st.find(r.key)
	st.counters.set(r, old)
	switch {
	case r.verb == "add" && old != nil, r.verb == "replace" && old == nil:
		return append(out, "NOT_STORED\r\n"...)
	case r.verb == "cas" && old == nil:
		return append(out, "NOT_FOUND\r\n"...)
	case r.verb == "cas" && old.cas != r.unique:
		return append(out, "EXISTS\r\n"...)
	}
	st.put(r.key, string(r.value), r.flags, st.deadline(r.exptime))
	return append(out, "STORED\r\n"...)
}

// extend runs append and prepend. Flags and lifetime stay.
func extend(st *store, r *request, out []byte) []byte {
	if r.tooLarge {
		return append(out, answerTooLarge...)
	}
	old := st.find(r.key)
	st.counters.sets++
	if old == nil || !fits(r.key, old.flags, len(old.value)+len(r.value)) {
		return append(out, "NOT_STORED\r\n"...)
	}
	if r.verb == "append" {
		st.change(old, old.value+string(r.value))
	} else {
		st.change(old, string(r.value)+old.value)
	}
	return append(out, "STORED\r\n"...)
}

// count runs incr and decr. It pads a shorter result with spaces, as memcached does.
func count(st *store, r *request, out []byte) []byte {
	e := st.find(r.key)
	if e == nil {
		st.counters.count(r, false)
		return append(out, "NOT_FOUND\r\n"...)
	}
	n, ok := parseCounter(e.value)
	if !ok {
		return append(out, "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"...)
	}
	st.counters.count(r, true)
	switch {
	case r.verb == "incr":
		n += r.delta
	case n < r.delta:
		n = 0
	default:
		n -= r.delta
	}
	text := strconv.FormatUint(n, 10)
	out = append(out, text...)
	out = append(out, "\r\n"...)
	if short := len(e.value) - len(text); short > 0 {
		text += strings.Repeat(" ", short)
	}
	st.change(e, text)
	return out
}

// remove runs delete.
func remove(st *store, r *request, out []byte) []byte {
	there := st.remove(r.key)
	tally(there, &st.counters.deleteHits, &st.counters.deleteMisses)
	if !there {
		return append(out, "NOT_FOUND\r\n"...)
	}
	return append(out, "DELETED\r\n"...)
}

// touch runs touch. It changes the lifetime only, and the CAS id stays.
func touch(st *store, r *request, out []byte) []byte {
	e := st.find(r.key)
	if e == nil {
		return append(out, "NOT_FOUND\r\n"...)
	}
	e.expires = st.deadline(r.exptime)
	return append(out, "TOUCHED\r\n"...)
}

func flushAll(st *store, _ *request, out []byte) []byte {
	st.flush()
	return append(out, "OK\r\n"...)
}

func version(_ *store, _ *request, out []byte) []byte {
	return append(out, "VERSION "+Version+"\r\n"...)
}

func verbosity(_ *store, _ *request, out []byte) []byte {
	return append(out, "OK\r\n"...)
}
