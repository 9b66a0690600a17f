package memcache_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// newerJSON is a record of a later version, in a form that this version does not write.
const newerJSON = ` {"token":"canarytoken-0001", "v":2,"number":5,"issued":100,"expires":7300,"api":"token","by":"pod","doubt":0,` +
	`"past":["00000000","later"],"today":{"date":20261123,"requests":2,"renewals":1,"later":3},"upstream_number":7,"colour":"\u003c" }` + "\n"

// A record of a newer version is put back byte for byte, also after a memcached restart
// and by a sidecar that read it long ago.
func TestRecordNewer_PutBackByteForByte(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		s.put(t, "wx1:record", newerJSON, 0)
		seen := must(slot.Record())(t)
		require.NotNil(t, seen.Record)
		assert.True(t, seen.Record.Newer())
		assert.Equal(t, 2, seen.Record.V)
		assert.True(t, seen.Holds(seen.Record))
		for range 2 {
			require.NoError(t, slot.PutRecord(seen, seen.Record, time.Hour))
			s.assertItem(t, "wx1:record", newerJSON, 3600)
			s.remove(t, "wx1:record")
			require.NoError(t, slot.PutRecord(memcache.Seen{}, seen.Record, time.Hour))
			s.assertItem(t, "wx1:record", newerJSON, 3600)
			view := must(slot.Poll())(t)
			seen = view.Record
			assert.True(t, seen.Record.Newer())
		}
	})
}

// A changed copy of a newer version's record never carries the JSON of the
// original: the change would be lost.
func TestRecordNewer_ChangedCopyIsEncodedAnew(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		s.put(t, "wx1:record", newerJSON, 0)
		seen := must(slot.Record())(t)
		byValue := *seen.Record
		for name, changed := range map[string]*memcache.Record{"Clone": seen.Record.Clone(), "by value": &byValue} {
			changed.Doubt, changed.Claim = 9, "mine"
			require.NoError(t, slot.PutRecord(seen, changed, time.Hour), name)
			i, _ := s.peek(t, "wx1:record")
			assert.JSONEq(t, `{"v":2,"token":"canarytoken-0001","number":5,"issued":100,"expires":7300,"api":"token","by":"pod","doubt":9,"claim":"mine",`+
				`"past":["00000000"],"today":{"date":20261123,"requests":2,"renewals":1},"upstream_number":7,"colour":"<"}`, i.value, name)
			seen = must(slot.Record())(t)
			assert.True(t, seen.Holds(changed), name)
		}
	})
}

// Records of this version and older ones are not newer, and keep their version.
func TestRecordNewer_OnlyAboveThisVersion(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		for version, newer := range map[int]bool{0: false, memcache.RecordVersion: false, memcache.RecordVersion + 1: true, 1000: true} {
			s.put(t, "wx1:record", with(fmt.Sprintf(`"v":%d`, version)), 0)
			seen := must(slot.Record())(t)
			require.NotNil(t, seen.Record)
			assert.Equal(t, newer, seen.Record.Newer(), version)
			assert.Equal(t, version, seen.Record.V)
			assert.Equal(t, version, seen.Record.Clone().V)
		}
	})
}

// A clone keeps the unknown fields of its token, as they were written.
func TestRecordClone_KeepsUnknownFields(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		s.put(t, "wx1:record", with(`"colour":"<blue> & \u5fae","nested":{ "a": [1, 2.50, null] }`), 0)
		seen := must(slot.Record())(t)
		clone := seen.Record.Clone()
		clone.Doubt = 9
		require.NoError(t, slot.PutRecord(seen, clone, time.Hour))
		i, there := s.peek(t, "wx1:record")
		require.True(t, there)
		assert.JSONEq(t, `{"v":1,"token":"canarytoken-0001","number":5,"issued":100,"expires":7300,"api":"token","by":"pod","doubt":9,"past":[],`+
			`"colour":"<blue> & 微","nested":{"a":[1,2.50,null]}}`, i.value)
		assert.Contains(t, i.value, "2.50", "numbers stay as they were written")
		assert.Contains(t, i.value, "<blue> &", "escapes would grow with every sidecar")
	})
}

// A new token's record is a new literal: unknown fields end with their token.
func TestRecord_UnknownFieldsEndWithTheirToken(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		s.put(t, "wx1:record", newerJSON, 0)
		seen := must(slot.Record())(t)
		require.NoError(t, slot.PutRecord(seen, newRecord(token2), time.Hour))
		i, _ := s.peek(t, "wx1:record")
		assert.NotContains(t, i.value, "colour")
		assert.Contains(t, i.value, `"v":1,`)
	})
}

// A clone and its original share nothing that either can change.
func TestRecordClone_IsDeep(t *testing.T) {
	t.Parallel()
	r := newRecord(token1)
	clone := r.Clone()
	assert.Equal(t, r, clone)
	clone.Past[0], clone.Token, clone.Today.Requests = "ffffffff", token2, 5
	assert.Equal(t, newRecord(token1), r)
	assert.Nil(t, (&memcache.Record{}).Clone().Past)
}

// Unknown fields that could make the record too long for every reader are
// dropped, and the record itself is written.
func TestRecord_TooLongUnknownFieldsAreDropped(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		s.put(t, "wx1:record", with(`"colour":"`+strings.Repeat("<", 15<<10)+`"`), 0)
		seen := must(slot.Record())(t)
		require.NotNil(t, seen.Record)
		clone := seen.Record.Clone()
		clone.Token = canary + strings.Repeat("x", 2048-len(canary))
		require.NoError(t, slot.PutRecord(seen, clone, time.Hour))
		again := must(slot.Record())(t)
		require.False(t, again.Unreadable)
		assert.Equal(t, clone.Token, again.Record.Token)
	})
}

// encoding/json accepts a field in any case, and the Kelvin sign for a k. Such a
// field must not come back later and replace the token.
func TestRecord_FieldInAnotherCaseIsNotUnknown(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		for _, name := range []string{"Token", "TOKEN", "to\u212aen", "i\u017f\u017fued", "Number", "V", "Claim"} {
			s.put(t, "wx1:record", fmt.Sprintf(`{%q:null,%s`, name, with(`"number":7`)[1:]), 0)
			seen := must(slot.Record())(t)
			require.NotNil(t, seen.Record)
			require.NoError(t, slot.PutRecord(seen, seen.Record.Clone(), time.Hour))
			i, _ := s.peek(t, "wx1:record")
			assert.NotContains(t, i.value, `"`+name+`"`)
		}
	})
}

// A reported token is named by its fingerprint. Anything else is dropped, and the
// record stays readable.
func TestRecord_ReportedIsAFingerprint(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		for value, want := range map[string]string{
			"45d69800": "45d69800", "": "", token1: "", "71766C1F": "", "71766c1": "", "45d698000": "", "71766c1g": "",
		} {
			s.put(t, "wx1:record", with(fmt.Sprintf(`"reported":%q`, value)), 0)
			seen := must(slot.Record())(t)
			require.NotNil(t, seen.Record)
			assert.Equal(t, want, seen.Record.Reported)
		}
	})
}

// Another sidecar's claim can differ in its id alone, so the whole value counts.
func TestSeenHolds_OnlyTheWholeValue(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		claim := newRecord(token1)
		claim.Claim = "a"
		assert.False(t, memcache.Seen{}.Holds(claim), "nothing was read")
		require.NoError(t, slot.PutRecord(memcache.Seen{}, claim, time.Hour))
		seen, err := slotOf(t, open(t, s.config)).Record() // by another sidecar
		require.NoError(t, err)
		assert.True(t, seen.Holds(claim))
		for name, change := range map[string]func(r *memcache.Record){
			"id":      func(r *memcache.Record) { r.Claim = "b" },
			"number":  func(r *memcache.Record) { r.Number++ },
			"doubt":   func(r *memcache.Record) { r.Doubt++ },
			"version": func(r *memcache.Record) { r.V = 0 },
			"past":    func(r *memcache.Record) { r.Past = r.Past[:1] },
		} {
			other := claim.Clone()
			change(other)
			assert.False(t, seen.Holds(other), name)
		}
		s.put(t, "wx1:record", "nonsense", 0)
		seen = must(slot.Record())(t)
		assert.False(t, seen.Holds(claim))
	})
}
