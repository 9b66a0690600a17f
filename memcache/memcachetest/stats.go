package memcachetest

import (
	"fmt"
	"os"
	"time"
)

// counters are the counts of stats since the server's start.
type counters struct {
	getHits, getMisses                int // by the key
	sets                              int // cas, add and the like included
	deleteHits, deleteMisses          int
	incrHits, incrMisses              int
	decrHits, decrMisses              int
	casHits, casMisses, casConflicts  int
	bytesRead, bytesWritten           int
	connectionsNow, connectionsOpened int
}

// tally counts a hit or a miss.
func tally(hit bool, hits, misses *int) {
	if hit {
		*hits++
	} else {
		*misses++
	}
}

// set counts a storage command on the stored item.
func (n *counters) set(r *request, old *entry) {
	n.sets++
	switch {
	case r.verb != "cas":
	case old == nil:
		n.casMisses++
	default:
		tally(old.cas == r.unique, &n.casHits, &n.casConflicts)
	}
}

// count counts incr or decr.
func (n *counters) count(r *request, hit bool) {
	if r.verb == "incr" {
		tally(hit, &n.incrHits, &n.incrMisses)
	} else {
		tally(hit, &n.decrHits, &n.decrMisses)
	}
}

// stats answers with the lines that clients use.
func stats(st *store, r *request, out []byte) []byte {
	if len(r.args) > 1 {
		switch string(r.args[1]) {
		case "reset":
			st.counters = counters{connectionsNow: st.counters.connectionsNow}
			return append(out, "RESET\r\n"...)
		case "items", "slabs", "settings", "sizes", "conns":
			return append(out, "END\r\n"...)
		}
		return append(out, answerError...)
	}
	st.sweep()
	n := &st.counters
	for _, line := range []struct {
		name  string
		value any
	}{
		{"pid", os.Getpid()},
		{"uptime", st.clock() - clockBase},
		{"time", time.Now().Unix()},
		{"version", Version},
		{"pointer_size", 64},
		{"curr_connections", n.connectionsNow},
		{"total_connections", n.connectionsOpened},
		{"cmd_get", n.getHits + n.getMisses},
		{"cmd_set", n.sets},
		{"get_hits", n.getHits},
		{"get_misses", n.getMisses},
		{"delete_misses", n.deleteMisses},
		{"delete_hits", n.deleteHits},
		{"incr_misses", n.incrMisses},
		{"incr_hits", n.incrHits},
		{"decr_misses", n.decrMisses},
		{"decr_hits", n.decrHits},
		{"cas_misses", n.casMisses},
		{"cas_hits", n.casHits},
		{"cas_badval", n.casConflicts},
		{"bytes_read", n.bytesRead},
		{"bytes_written", n.bytesWritten},
		{"limit_maxbytes", 67108864},
		{"threads", 4},
		{"curr_items", len(st.items)},
	} {
		out = fmt.Appendf(out, "STAT %s %v\r\n", line.name, line.value)
	}
	return append(out, "END\r\n"...)
}
