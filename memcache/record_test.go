package memcache_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// newRecord is a record with every field set.
func newRecord(token string) *memcache.Record {
	return &memcache.Record{
		V: memcache.RecordVersion, Token: token, Number: 1763811900123, Issued: 1763811900, Expires: 1763819100,
		API: "token", By: "pod-7f9c", Doubt: 1763812000, Past: []string{"9f86d081", "00000000"},
	}
}

// A record is read as it was written, with or without a token.
func TestRecord_ReadAsWritten(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		missing := must(slot.Record())(t)
		require.Equal(t, memcache.Seen{}, missing)

		written := newRecord(token1)
		require.NoError(t, slot.PutRecord(missing, written, 7200*time.Second))
		s.assertItem(t, "wx1:record", `{"v":1,"token":"canarytoken-0001","number":1763811900123,"issued":1763811900,"expires":1763819100,`+
			`"api":"token","by":"pod-7f9c","doubt":1763812000,"past":["9f86d081","00000000"]}`, 7200)
		seen := must(slot.Record())(t)
		assert.False(t, seen.Unreadable)
		assert.Equal(t, written, seen.Record)
		assert.Equal(t, 2*time.Hour, seen.Record.Life())

		marked := &memcache.Record{Number: 1763811900124, Doubt: 1763812060}
		require.NoError(t, slot.PutRecord(seen, marked, time.Minute), "no token: a doubt alone")
		again := must(slot.Record())(t)
		assert.Equal(t, marked, again.Record)
	})
}

// A record is replaced only if it is still as it was seen.
func TestPutRecord_OnlyIfUnchanged(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		require.NoError(t, slot.PutRecord(memcache.Seen{}, newRecord(token1), time.Hour))
		require.ErrorIs(t, slot.PutRecord(memcache.Seen{}, newRecord(token2), time.Hour), memcache.ErrConflict, "not missing")
		seen := must(slot.Record())(t)
		require.NoError(t, slot.PutRecord(seen, newRecord(token2), time.Hour))
		require.ErrorIs(t, slot.PutRecord(seen, newRecord(token3), time.Hour), memcache.ErrConflict, "changed since")
		seen = must(slot.Record())(t)
		assert.Equal(t, token2, seen.Record.Token)

		s.remove(t, "wx1:record")
		require.ErrorIs(t, slot.PutRecord(seen, newRecord(token3), time.Hour), memcache.ErrConflict, "gone")
		seen = must(slot.Record())(t)
		assert.Nil(t, seen.Record)
	})
}

// with is a good record's JSON with other fields at its end: the last of a name counts.
func with(fields string) string {
	return `{"v":1,"token":"canarytoken-0001","number":5,"issued":100,"expires":7300,"api":"token","by":"pod","doubt":0,"past":[],` + fields + `}`
}

// An unreadable record counts as missing and can be replaced.
func TestRecord_UnreadableIsReplaced(t *testing.T) {
	unreadable := map[string]string{
		"empty":                        "",
		"a bare token":                 token1,
		"cut off":                      strings.TrimSuffix(with(`"number":5`), "}"),
		"two of them":                  with(`"number":5`) + with(`"number":5`),
		"a list":                       `["canarytoken-0001"]`,
		"null":                         `null`,
		"nothing known":                `{"colour":"blue"}`,
		"number 0":                     with(`"number":0`),
		"number below 0":               with(`"number":-1`),
		"number beyond what is exact":  with(`"number":4503599627370497`),
		"number as a string":           with(`"number":"5"`),
		"number with a fraction":       with(`"number":5.5`),
		"doubt below 0":                with(`"doubt":-1`),
		"doubt beyond what is exact":   with(`"doubt":4503599627370497`),
		"a token with a space":         with(`"token":"canarytoken 1"`),
		"a token with a line feed":     with(`"token":"canarytoken\n1"`),
		"a token of 2,049 bytes":       with(`"token":"` + canary + strings.Repeat("x", 2049-len(canary)) + `"`),
		"issued never":                 with(`"issued":0`),
		"expires when issued":          with(`"expires":100`),
		"expires before":               with(`"expires":-7300`),
		"lives longer than 24 hours":   with(`"expires":86501`),
		"its own token in its past":    with(`"past":["00000000","45d69800"]`),
		"and after eight others":       with(`"past":["00000001","00000002","00000003","00000004","00000005","00000006","00000007","00000008","45d69800"]`),
		"version below 0":              with(`"v":-1`),
		"version over 1,000":           with(`"v":1001`),
		"version with a fraction":      with(`"v":1.5`),
		"version as a string":          with(`"v":"1"`),
		"a claim of 65 bytes":          with(`"claim":"` + strings.Repeat("x", 65) + `"`),
		"a claim that is a number":     with(`"claim":1`),
		"lives longer than an integer": with(`"issued":-9223372036854775808,"expires":9223372036854775807`),
		"an API of 256 bytes":          with(`"api":"` + strings.Repeat("x", 256) + `"`),
		"an API that is a sentence":    with(`"api":"ask 203.0.113.7"`),
		"past is no list":              with(`"past":"9f86d081"`),
		"over 16 KiB":                  with(`"colour":"` + strings.Repeat("x", 16<<10) + `"`),
	}
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		for name, value := range unreadable {
			t.Run(name, func(t *testing.T) {
				s.put(t, "wx1:record", value, 0)
				seen := must(slot.Record())(t)
				assert.True(t, seen.Unreadable)
				assert.Nil(t, seen.Record)
				require.NoError(t, slot.PutRecord(seen, newRecord(token2), time.Hour))
				seen = must(slot.Record())(t)
				assert.False(t, seen.Unreadable)
				assert.Equal(t, token2, seen.Record.Token)
			})
		}
	})
}

// Values at the limits are readable.
func TestRecord_LimitsAreReadable(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		for name, value := range map[string]string{
			"number 1":               with(`"number":1`),
			"the largest number":     with(`"number":4503599627370496`),
			"doubt far away":         with(`"doubt":4503599627370496`),
			"expires a second later": with(`"expires":101`),
			"lives 24 hours":         with(`"expires":86500`),
			"version 0":              with(`"v":0`),
			"no version":             `{"number":5}`,
			"version null":           with(`"v":null`),
			"version 1,000":          with(`"v":1000`),
			"a claim of 64 bytes":    with(`"claim":"` + strings.Repeat("x", 64) + `"`),
			"a token of 2,048":       with(`"token":"` + canary + strings.Repeat("x", 2048-len(canary)) + `"`),
			"a name of 255 bytes":    with(`"by":"` + strings.Repeat("x", 255) + `"`),
			"no token and no times":  `{"number":5}`,
			"white space":            " \n" + with(`"number":5`) + "\n",
		} {
			s.put(t, "wx1:record", value, 0)
			seen, err := slot.Record()
			require.NoError(t, err, name)
			assert.False(t, seen.Unreadable, name)
			require.NotNil(t, seen.Record, name)
			require.NoError(t, slot.PutRecord(seen, seen.Record, time.Hour), name)
			again, err := slot.Record()
			require.NoError(t, err, name)
			assert.Equal(t, seen.Record, again.Record, name)
		}
	})
}

// The counts of a day are read as written. Implausible ones are dropped, and the
// record stays readable.
func TestRecord_DayCounts(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		written := newRecord(token1)
		written.Today = memcache.Day{Date: 20261123, Requests: 31, Renewals: 27, ForceRefreshes: 2}
		require.NoError(t, slot.PutRecord(memcache.Seen{}, written, time.Hour))
		i, _ := s.peek(t, "wx1:record")
		assert.Contains(t, i.value, `"today":{"date":20261123,"requests":31,"renewals":27,"force_refreshes":2}`)
		seen := must(slot.Record())(t)
		assert.Equal(t, written, seen.Record)

		for _, absurd := range []string{
			`{"date":-1,"requests":1}`, `{"date":100000000}`, `{"requests":-1}`, `{"requests":2000000}`, `{"requests":1,"renewals":2}`,
			`{"requests":1,"renewals":-1}`, `{"requests":1,"force_refreshes":2}`, `{"requests":1,"force_refreshes":-1}`,
		} {
			s.put(t, "wx1:record", with(`"today":`+absurd), 0)
			seen := must(slot.Record())(t)
			require.NotNil(t, seen.Record, "the token is none the worse for it: %s", absurd)
			assert.Zero(t, seen.Record.Today, absurd)
		}
	})
}

// An unchanged record is decoded once, and a record that was read never changes.
func TestRecord_UnchangedIsDecodedOnce(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		require.NoError(t, slot.PutRecord(memcache.Seen{}, newRecord(token1), time.Hour))
		first := must(slot.Record())(t)
		view := must(slot.Poll())(t)
		assert.Same(t, first.Record, view.Record.Record)
		assert.Same(t, first.Record, must(slot.Poll())(t).Record.Record)

		changed := newRecord(token1)
		changed.Number++
		require.NoError(t, slot.PutRecord(view.Record, changed, time.Hour))
		assert.Equal(t, changed, must(slot.Poll())(t).Record.Record)
		assert.Equal(t, changed, must(slot.Record())(t).Record)
		assert.Equal(t, newRecord(token1), first.Record, "the one before stays")

		s.put(t, "wx1:record", "nonsense", 0)
		third := must(slot.Record())(t)
		assert.True(t, third.Unreadable)
		require.NoError(t, slot.PutRecord(third, changed, time.Hour), "the version is the one read last")

		s.restart(t)
		require.NoError(t, slot.PutRecord(memcache.Seen{}, newRecord(token3), time.Hour))
		assert.Equal(t, newRecord(token3), must(slot.Poll())(t).Record.Record)
	})
}
