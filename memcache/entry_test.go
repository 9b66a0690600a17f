package memcache_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/entries"
)

// Tokens of the tests. No error and no output can contain canary.
const (
	canary = "canarytoken"
	token1 = "canarytoken-0001"
	token2 = "canarytoken-0002"
	token3 = "canarytoken-0003"
)

// The first entry is written by add, and apps read it.
func TestPutEntry_Adds(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		_, err := slot.Get()
		require.ErrorIs(t, err, memcache.ErrMiss)
		missing := must(slot.Entry())(t)
		require.Equal(t, memcache.Entry{}, missing)

		require.NoError(t, slot.PutEntry(missing, token1, time.Hour))
		s.assertItem(t, "wx1", token1, 3600)
		got := must(slot.Get())(t)
		assert.Equal(t, token1, got)

		require.ErrorIs(t, slot.PutEntry(missing, token2, time.Hour), memcache.ErrConflict, "it is there meanwhile")
		s.assertItem(t, "wx1", token1, 3600)
	})
}

// An entry is replaced only if it is still as it was seen.
func TestPutEntry_OnlyIfUnchanged(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		s.put(t, "wx1", token1, 0)
		seen := must(slot.Entry())(t)
		require.Equal(t, token1, seen.Token)
		require.False(t, seen.Damaged)

		require.NoError(t, slot.PutEntry(seen, token2, 90*time.Second))
		s.assertItem(t, "wx1", token2, 90)
		require.ErrorIs(t, slot.PutEntry(seen, token3, time.Hour), memcache.ErrConflict, "seen before the last write")
		s.assertItem(t, "wx1", token2, 90)

		seen = must(slot.Entry())(t)
		s.put(t, "wx1", token2, 0)
		require.ErrorIs(t, slot.PutEntry(seen, token3, time.Hour), memcache.ErrConflict, "the same value, written anew")

		seen = must(slot.Entry())(t)
		s.remove(t, "wx1")
		require.ErrorIs(t, slot.PutEntry(seen, token3, time.Hour), memcache.ErrConflict, "gone")
		_, there := s.peek(t, "wx1")
		assert.False(t, there)
	})
}

// Readers take the table's values for credentials, or for damage. A damaged entry is not
// a miss, and is replaced.
func TestEntry_TableOfValues(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		for _, value := range entries.Values(t) {
			t.Run(value.Name, func(t *testing.T) {
				s.put(t, "wx1", value.Text, value.Flags)
				got, err := slot.Get()
				seen := must(slot.Entry())(t)
				view := must(slot.Poll())(t)
				assert.Equal(t, seen, view.Entry)
				if value.Valid {
					require.NoError(t, err)
					assert.Equal(t, value.Text, got)
					assert.Equal(t, value.Text, seen.Token)
					assert.False(t, seen.Damaged)
					return
				}
				require.ErrorIs(t, err, memcache.ErrDamaged)
				assert.Empty(t, got)
				assert.True(t, seen.Damaged)
				assert.Empty(t, seen.Token)
				require.NoError(t, slot.PutEntry(seen, token2, time.Hour))
				s.assertItem(t, "wx1", token2, 3600)
				assert.ErrorIs(t, slot.PutEntry(seen, token3, time.Hour), memcache.ErrConflict, "repaired already")
			})
		}
	})
}

// A value that the record knows is no damage to a sidecar: WeChat issued it. Flags other
// than 0 are.
func TestPoll_KnownValueIsNoDamage(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		for _, known := range []string{"x", "null", "{}", "0123456789abcdef0123456789abcdef"} {
			record := &memcache.Record{
				Token: known, Number: 2, Issued: 1, Expires: 7201, Past: []string{memcache.Fingerprint("<html>")},
			}
			require.NoError(t, slot.PutRecord(must(slot.Record())(t), record, time.Hour))
			for _, c := range []struct {
				value   string
				flags   int
				damaged bool
			}{{known, 0, false}, {"<html>", 0, false}, {known, 1, true}, {"false", 0, true}, {"", 0, true}} {
				s.put(t, "wx1", c.value, c.flags)
				entry := must(slot.Poll())(t).Entry
				assert.Equal(t, c.damaged, entry.Damaged, "%s beside %s", c.value, known)
				if !c.damaged {
					assert.Equal(t, c.value, entry.Token)
				}
			}
			s.put(t, "wx1", known, 0)
			_, err := slot.Get()
			require.ErrorIs(t, err, memcache.ErrDamaged, "readers ask the sidecar")
		}
	})
}

// A credential outside the entry has 1 to 2,048 printable ASCII characters.
func TestValidCredential_PrintableASCII(t *testing.T) {
	for name, credential := range map[string]string{
		"one character":       "~",
		"punctuation":         canary + "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
		"2,048 characters":    strings.Repeat("x", 2048),
		"32 hexadecimal ones": strings.Repeat("a", 32),
	} {
		assert.True(t, memcache.ValidCredential(credential), name)
	}
	for _, no := range []string{"", " ", "a b", "a\n", "a\x7f", "微", "a\x80", "\xff", strings.Repeat("x", 2049)} {
		assert.False(t, memcache.ValidCredential(no), "%q", no)
	}
}

// A lifetime is rounded down to whole seconds.
func TestPutEntry_LifeInWholeSeconds(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		for life, exptime := range map[time.Duration]int{
			2 * time.Second:        2,
			3*time.Second - 1:      2,
			time.Hour:              3600,
			time.Hour + 1:          3600,
			30 * 24 * time.Hour:    2592000,
			31 * 24 * time.Hour:    2592000, // a larger one would be a date in 1970
			100000 * 3600000000000: 2592000,
		} {
			seen := must(slot.Entry())(t)
			require.NoError(t, slot.PutEntry(seen, token1, life), life)
			s.assertItem(t, "wx1", token1, exptime)
		}
	})
}

// A lifetime under a second is not written: exptime 0 means forever.
func TestWrites_UnderASecondIsAnError(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		record := &memcache.Record{Number: 1}
		for _, life := range []time.Duration{time.Second - 1, 1, 0, -1, -time.Hour} {
			require.ErrorContains(t, slot.PutEntry(memcache.Entry{}, token1, life), "less than a second", life)
			require.Error(t, slot.PutRecord(memcache.Seen{}, record, life), life)
			_, err := slot.Mark(memcache.MarkReportThrottle, life)
			require.Error(t, err, life)
		}
		assert.Equal(t, "EN\r\nEN\r\nEN\r\n", s.say(t, "mg wx1 v\r\nmg wx1:record v\r\nmg wx1:report_throttle v\r\n"))

		s.put(t, "wx1", token1, 0)
		seen := must(slot.Entry())(t)
		require.Error(t, slot.PutEntry(seen, token2, time.Second-1))
		s.assertItem(t, "wx1", token1, 3600)
	})
}

// An entry is a miss after its lifetime.
func TestEntry_EndsWithItsLifetime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		require.NoError(t, f.slot.PutEntry(memcache.Entry{}, token1, time.Hour))
		time.Sleep(time.Hour - time.Nanosecond)
		_ = must(f.slot.Get())(t)
		time.Sleep(time.Nanosecond)
		_, err := f.slot.Get()
		require.ErrorIs(t, err, memcache.ErrMiss)

		require.NoError(t, f.slot.PutEntry(memcache.Entry{}, token1, time.Second))
		time.Sleep(time.Second)
		_, err = f.slot.Get()
		assert.ErrorIs(t, err, memcache.ErrMiss)
	})
}
