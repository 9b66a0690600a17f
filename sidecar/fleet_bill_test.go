package main

import (
	"bufio"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// bill is what sidecars cost memcached, as its own stats count it.
type bill struct {
	requests int // commands; the real memcached does not count them
	looks    int // multi-gets among them; the same
	keys     int // asked for: a multi-get has up to 200
	writes   int // set, add, cas, incr, delete
	in, out  int // bytes, as memcached sees them
	dials    int // connections opened
	open     int // connections open now, but for the one that asked: no sum
	answer   int // bytes of the answer, which is not in out yet
}

// readBill asks for stats over a connection of its own, which it closes.
func readBill(t *testing.T, conn net.Conn) bill {
	t.Helper()
	defer func() { _ = conn.Close() }()
	_, err := io.WriteString(conn, statsQuestion)
	require.NoError(t, err)
	stats, answer := map[string]int{}, len("END\r\n")
	lines := bufio.NewScanner(conn)
	for lines.Scan() && lines.Text() != "END" {
		answer += len(lines.Text()) + len("\r\n")
		fields := strings.Fields(lines.Text())
		require.Len(t, fields, 3)
		stats[fields[1]], _ = strconv.Atoi(fields[2]) // a version is no number, and not used
	}
	require.NoError(t, lines.Err())
	require.Contains(t, stats, "cmd_get")
	return bill{
		keys:   stats["cmd_get"],
		writes: stats["cmd_set"] + stats["incr_hits"] + stats["incr_misses"] + stats["delete_hits"] + stats["delete_misses"],
		in:     stats["bytes_read"], out: stats["bytes_written"],
		dials: stats["total_connections"], open: stats["curr_connections"] - 1, answer: answer,
	}
}

const statsQuestion = "stats\r\n"

// minus is what came since before, without what it took to ask.
func (b bill) minus(before bill) bill {
	return bill{
		requests: b.requests - before.requests - 1, looks: b.looks - before.looks, keys: b.keys - before.keys,
		writes: b.writes - before.writes, in: b.in - before.in - len(statsQuestion), out: b.out - before.out - before.answer,
		dials: b.dials - before.dials - 1, open: b.open,
	}
}

// rate is a count as so many a second.
func rate(n int, d time.Duration) float64 { return float64(n) / d.Seconds() }
