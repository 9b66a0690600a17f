package memcache

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// script is a connection that takes every question and gives one answer, so many
// bytes at a time.
type script struct {
	net.Conn // nil: nothing else is called
	answer   []byte
	step     int
}

func (s *script) Write(p []byte) (int, error) { return len(p), nil }

func (s *script) Read(p []byte) (int, error) {
	if len(s.answer) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(s.step, len(p))], s.answer)
	s.answer = s.answer[n:]
	return n, nil
}

func (s *script) SetDeadline(time.Time) error { return nil }
func (s *script) Close() error                { return nil }

// through is what a conn passes on of an answer.
func through(answer []byte, step int) ([]byte, error) {
	c := &conn{Conn: &script{answer: answer, step: step}, patience: time.Hour}
	_, _ = c.Write([]byte("gets wx1\r\n"))
	return io.ReadAll(c)
}

// FuzzAnswer: whatever a server answers, in whatever pieces, the same is passed on,
// within the bounds; nothing that asks panics, and no value is longer than ours.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("VALUE wx1 0 16 7\r\ncanarytoken-0001\r\nVALUE wx1:record 0 2 8\r\n{}\r\nEND\r\n"), 9)
	f.Add([]byte("SERVER_ERROR out of memory\r\n"), 9)
	f.Fuzz(func(t *testing.T, answer []byte, step int) {
		step = 1 + int(uint(step)%4096)
		whole, err := through(bytes.Clone(answer), len(answer)+1)
		pieces, errPieces := through(bytes.Clone(answer), step)
		require.LessOrEqual(t, len(whole), max(len(answer), 4096)) // never more than came
		if err == nil && errPieces == nil {
			require.Equal(t, string(whole), string(pieces))
		}
		refuses := bytes.Contains(answer, []byte("ERROR ")) || bytes.HasPrefix(answer, []byte{tlsAlert})
		if !bytes.Contains(answer, []byte("VALUE ")) && !refuses && len(answer) <= maxLine {
			rest := answer[:bytes.LastIndexByte(answer, '\n')+1]
			require.Equal(t, string(rest), string(whole), "nothing is changed, and no half line passed on")
		}

		store, err := New(Config{Dial: func(context.Context, string, string) (net.Conn, error) {
			return &script{answer: bytes.Clone(answer), step: step}, nil
		}})
		require.NoError(t, err)
		slot, err := store.Slot("wx1", AccessToken)
		require.NoError(t, err)
		for _, key := range []string{"wx1", "wx1:record"} {
			if item, err := slot.server.get(key); err == nil {
				require.LessOrEqual(t, len(item.Value), maxValue)
			}
		}
		if token, err := slot.Get(); err == nil {
			require.True(t, ValidEntry(token))
		}
		view, err := slot.Poll()
		assert.True(t, err == nil || view == View{})
		_, _ = slot.Lease()
		_, _ = slot.Mark(MarkReportThrottle, time.Minute)
		_, _ = slot.CountFailure()
		_ = slot.ForgetFailures()
		_ = slot.PutEntry(Entry{seen: version{there: true, casID: 7, value: "x"}}, "canarytoken-0001", time.Hour)
		_ = store.Ping()
	})
}
