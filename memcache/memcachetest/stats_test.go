package memcachetest_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// counted are the names of stats that the fake counts as memcached does.
var counted = []string{
	"curr_connections", "total_connections", "cmd_get", "cmd_set", "get_hits", "get_misses", "delete_hits", "delete_misses",
	"incr_hits", "incr_misses", "decr_hits", "decr_misses", "cas_hits", "cas_misses", "cas_badval", "bytes_read", "bytes_written",
}

// The fake's statistics equal the real server's.
func TestStats_LikeTheRealMemcached(t *testing.T) {
	t.Parallel()
	for name, start := range targets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dial := start(t)
			s := newSession(t, dial)
			before := s.stats()
			const mark = len("mn\r\n") // ends each question, and each answer
			sent, answered := len("stats\r\n")+mark, before["answer"]+mark
			ask := func(s *session, text string) string {
				answer := s.ask(text)
				sent += len(text) + mark
				answered += len(answer) + mark
				return answer
			}
			for _, step := range []struct{ send, want string }{
				{"set a 0 0 1\r\n1\r\n", "STORED\r\n"},
				{"add a 0 0 1\r\n1\r\n", "NOT_STORED\r\n"},
				{"append a 0 0 1\r\n0\r\n", "STORED\r\n"},
				{"gets a b c\r\n", "VALUE a 0 2 {id}\r\n10\r\nEND\r\n"},
				{"get a\r\n", "VALUE a 0 2\r\n10\r\nEND\r\n"},
				{"mg a v\r\nmg b v\r\n", "VA 2\r\n10\r\nEN\r\n"},
				{"cas a 0 0 1 {id}\r\n2\r\n", "STORED\r\n"},
				{"cas a 0 0 1 {id}\r\n3\r\n", "EXISTS\r\n"},
				{"cas b 0 0 1 {id}\r\n3\r\n", "NOT_FOUND\r\n"},
				{"incr a 1\r\n", "3\r\n"},
				{"incr b 1\r\n", "NOT_FOUND\r\n"},
				{"decr a 1\r\n", "2\r\n"},
				{"decr b 1\r\n", "NOT_FOUND\r\n"},
				{"delete a\r\n", "DELETED\r\n"},
				{"delete a\r\n", "NOT_FOUND\r\n"},
			} {
				s.match(step.send, step.want, ask(s, s.fill(step.send)))
			}
			ask(newSession(t, dial), "version\r\n")
			after := s.stats()
			got := map[string]int{}
			for _, name := range counted {
				got[name] = after[name] - before[name]
			}
			assert.Equal(t, map[string]int{
				"curr_connections": 1, "total_connections": 1, "cmd_get": 6, "cmd_set": 6, "get_hits": 3, "get_misses": 3,
				"delete_hits": 1, "delete_misses": 1, "incr_hits": 1, "incr_misses": 1, "decr_hits": 1, "decr_misses": 1,
				"cas_hits": 1, "cas_misses": 1, "cas_badval": 1, "bytes_read": sent, "bytes_written": answered,
			}, got)
		})
	}
}

// stats returns the numbers in the answer to stats, and the answer's length.
func (s *session) stats() map[string]int {
	s.t.Helper()
	text := s.ask("stats\r\n")
	numbers := map[string]int{"answer": len(text)}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue
		}
		if n, err := strconv.Atoi(fields[2]); err == nil {
			numbers[fields[1]] = n
		}
	}
	require.Contains(s.t, numbers, "cmd_get")
	return numbers
}
