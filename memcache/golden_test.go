package memcache_test

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// The files in testdata/golden are every kind of value of version 1, the keys, and
// the fields. Sidecars of several versions run side by side, and each must read the
// values of the others. So after a release no file is changed or removed, and a later
// version adds files.

// golden returns a file's text without its last line end.
func golden(t *testing.T, name string) string {
	t.Helper()
	text := must(os.ReadFile(filepath.Join("testdata", "golden", name)))(t)
	return strings.TrimSuffix(string(text), "\n")
}

// goldenRecord returns the record that most files are variations of.
func goldenRecord(change func(r *memcache.Record)) *memcache.Record {
	r := &memcache.Record{
		V: 1, Token: token2, Number: 1763811900123, Issued: 1763811900, Expires: 1763819100,
		API: "token", By: "pod-7f9c", Past: []string{"45d69800", "9f86d081"},
	}
	change(r)
	return r
}

const goldenID = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"

var goldenRecords = map[string]*memcache.Record{
	"record": goldenRecord(func(r *memcache.Record) {
		r.Today = memcache.Day{Date: 20251122, Requests: 3, Renewals: 2}
	}),
	"record_first": goldenRecord(func(r *memcache.Record) {
		r.Token, r.API, r.Past = token1, "stable_token", nil
	}),
	"record_claimed": goldenRecord(func(r *memcache.Record) {
		r.Number, r.Doubt, r.Claim = 1763815200125, 1763815275, goldenID
	}),
	"record_claimed_without_token": {
		V: 1, Number: 1763811900123, API: "token", By: "pod-7f9c", Doubt: 1763811975, Claim: goldenID, Past: []string{"9f86d081"},
	},
	"record_in_doubt": goldenRecord(func(r *memcache.Record) {
		r.Number, r.Doubt = 1763815200127, 1763815260
	}),
	"record_without_token": {V: 1, Number: 1763811900124, API: "token", By: "pod-7f9c", Doubt: 1763811960},
	"record_reported": goldenRecord(func(r *memcache.Record) {
		r.Number, r.Reported = 1763812200124, memcache.Fingerprint(token2)
	}),
	"record_ticket": {
		V: 1, Token: canary + "-ticket", Number: 1763811901456, Issued: 1763811901, Expires: 1763819101,
		API: "jsapi", By: "pod-7f9c", Past: []string{"00000000"},
	},
	"record_upstream": goldenRecord(func(r *memcache.Record) {
		r.API, r.UpstreamNumber, r.Promised, r.Lagging = "upstream", 1763811899001, 3575, 1763811930
	}),
	"record_every_field": goldenRecord(func(r *memcache.Record) {
		r.Number, r.Doubt, r.Claim = 1763815200125, 1763815275, goldenID
		r.API, r.Reported, r.Early, r.Again, r.Age = "stable_token", memcache.Fingerprint(token2), 420, true, 1800
		r.Today = memcache.Day{Date: 20251122, Requests: 31, Renewals: 27, ForceRefreshes: 2}
	}),
}

var goldenQuota = memcache.Quota{V: 1, At: 1763811900, By: "pod-7f9c", Used: 36, Limit: 2000, Sent: 1763700000000031}

var goldenQuotas = map[string]func(q *memcache.Quota){
	"quota_first": func(*memcache.Quota) {},
	"quota": func(q *memcache.Quota) {
		external := 5
		q.External, q.Since = &external, 1763808420
	},
	"quota_none": func(q *memcache.Quota) { q.Used, q.Limit = 0, 0 },
}

var goldenCooldowns = map[string]memcache.Cooldown{
	"lease_cooldown": {Class: "transient", ErrCode: -1, Until: 1763811904},
	"lease_cooldown_secret": {
		Class: "person", ErrCode: 40125, Secret: "1f3870be", Until: 1763811960,
	},
}

// Every kind of record is written as its file has it, and read from the file.
func TestGolden_Records(t *testing.T) {
	onEach(t, func(s *server) {
		t := s.t
		for name, record := range goldenRecords {
			text := golden(t, name+".json")
			require.NoError(t, slotOf(t, s.Store).PutRecord(memcache.Seen{}, record, time.Hour), name)
			s.assertItem(t, "wx1:record", text, 3600)
			seen, err := slotOf(t, s.Store).Record() // nothing is remembered
			require.NoError(t, err)
			assert.Equal(t, record, seen.Record, name)
			assert.True(t, seen.Holds(record), name)
			s.remove(t, "wx1:record")
		}
	})
}

// A record without a version is read as an older one.
func TestGolden_RecordOfVersion0(t *testing.T) {
	onEach(t, func(s *server) {
		t := s.t
		s.put(t, "wx1:record", golden(t, "record_version_0.json"), 0)
		seen := must(slotOf(t, s.Store).Record())(t)
		assert.Equal(t, goldenRecord(func(r *memcache.Record) { r.V = 0 }), seen.Record)
	})
}

// A newer version's record is read, and put back byte for byte.
func TestGolden_RecordOfANewerVersion(t *testing.T) {
	onEach(t, func(s *server) {
		t := s.t
		text := golden(t, "record_newer.json")
		s.put(t, "wx1:record", text, 0)
		seen := must(slotOf(t, s.Store).Record())(t)
		require.NotNil(t, seen.Record)
		assert.Equal(t, 2, seen.Record.V)
		assert.Equal(t, token2, seen.Record.Token)
		assert.Equal(t, "upstream", seen.Record.API)
		require.NoError(t, slotOf(t, s.Store).PutRecord(seen, seen.Record, time.Hour))
		s.assertItem(t, "wx1:record", text, 3600)
	})
}

// A cooldown is written as its file has it, and read from the file.
func TestGolden_Cooldowns(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		for name, cooldown := range goldenCooldowns {
			lease := must(slot.TakeLease())(t)
			require.NoError(t, lease.CoolDown(cooldown, time.Minute))
			s.assertItem(t, "wx1:lease", golden(t, name+".json"), 60)
			seen := must(slot.Lease())(t)
			assert.False(t, seen.Held, name)
			assert.Equal(t, &cooldown, seen.Cooldown, name)
			s.remove(t, "wx1:lease")
		}
	})
}

// A reading of WeChat's count is written as its file has it, and read from the file.
func TestGolden_Quotas(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		for name, change := range goldenQuotas {
			q := goldenQuota
			change(&q)
			require.NoError(t, slot.PutQuota("token", &q))
			s.assertItem(t, "wx1:quota:token", golden(t, name+".json"), 26*3600)
			assert.Equal(t, &q, must(slot.Quota("token"))(t), name)
		}
	})
}

// The values that are not JSON are read as in their files.
func TestGolden_BareValues(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		s.put(t, "wx1", golden(t, "entry.txt"), 0)
		token := must(slot.Get())(t)
		assert.Equal(t, token2, token)

		s.put(t, "wx1:lease", golden(t, "lease_held.txt"), 0)
		seen := must(slot.Lease())(t)
		assert.True(t, seen.Held)

		s.put(t, "wx1:planned", golden(t, "mark.txt"), 0)
		ok := must(slot.Mark(memcache.MarkPlanned, time.Minute))(t)
		assert.False(t, ok)

		s.put(t, "wx1:report_throttle", golden(t, "mark_with_word.txt"), 0)
		word, ok, err := slot.MarkWith(memcache.MarkReportThrottle, "valid", time.Minute)
		require.NoError(t, err)
		assert.False(t, ok)
		assert.Equal(t, "9f86d081", word)

		s.put(t, "wx1:failures", golden(t, "count.txt"), 0)
		n := must(slot.CountFailure())(t)
		assert.Equal(t, 13, n)
	})
}

// The values that are not JSON are written as in their files.
func TestGolden_BareValuesWritten(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		require.NoError(t, slot.PutEntry(memcache.Entry{}, token2, time.Hour))
		s.assertItem(t, "wx1", golden(t, "entry.txt"), 3600)
		_ = must(slot.TakeLease())(t)
		_ = must(slot.Mark(memcache.MarkPlanned, time.Minute))(t)
		_, _, err := slot.Spend(memcache.MarkBudget, 1, time.Minute)
		require.NoError(t, err)
		for _, key := range []string{"wx1:lease", "wx1:planned", "wx1:budget:0"} {
			i, _ := s.peek(t, key)
			assert.Regexp(t, "^[0-9a-f]{32}$", i.value, key)
			assert.Len(t, i.value, len(golden(t, "mark.txt")), key)
			assert.Len(t, i.value, len(golden(t, "lease_held.txt")), key)
		}
		_ = must(slot.Remark(memcache.MarkRecentReport, "9f86d081", 10*time.Minute))(t)
		i, _ := s.peek(t, "wx1:recent_report")
		assert.Regexp(t, "^9f86d081 [0-9a-f]{32}$", i.value)
		assert.Len(t, i.value, len(golden(t, "mark_with_word.txt")))
		for range 12 {
			_ = must(slot.CountFailure())(t)
		}
		s.assertItem(t, "wx1:failures", golden(t, "count.txt"), 3600)
	})
}

// keys.txt is every key of a token and of a ticket, behind the prefix P: and the
// AppID wx1.
func TestGolden_Keys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := memcachetest.New()
		defer func() { assert.NoError(t, fake.Close()) }()
		var mu sync.Mutex
		var used []string
		fake.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
			mu.Lock()
			defer mu.Unlock()
			used = append(used, c.Keys...)
			return memcachetest.None
		})
		for _, kind := range []memcache.Kind{memcache.AccessToken, memcache.JSAPITicket, memcache.WXCardTicket} {
			slot := must(open(t, memcache.Config{Prefix: "P:", Dial: fake.Dial}).Slot("wx1", kind))(t)
			useAll(t, slot)
		}
		useQuota(t, must(open(t, memcache.Config{Prefix: "P:", Dial: fake.Dial}).Slot("wx1", memcache.AccessToken))(t))
		slices.Sort(used)
		assert.Equal(t, golden(t, "keys.txt"), strings.Join(slices.Compact(used), "\n"))
	})
}

// The package comment's table has a line for every key.
func TestGolden_KeysAreInThePackageComment(t *testing.T) {
	t.Parallel()
	source := must(os.ReadFile("memcache.go"))(t)
	comment, _, found := strings.Cut(string(source), "\npackage memcache\n")
	require.True(t, found)
	for key := range strings.Lines(golden(t, "keys.txt")) {
		suffix, ok := strings.CutPrefix(strings.TrimSpace(key), "P:wx1")
		if first, _, _ := strings.Cut(strings.TrimPrefix(suffix, ":"), ":"); ok && first != "" {
			assert.True(t, strings.Contains(comment, ":"+first), "no line for %s", key) //nolint:testifylint // the comment is long
		}
	}
}

// fields.txt is every JSON field and its type. A field never changes its meaning,
// its type or its name, and every one occurs in a golden file.
func TestGolden_Fields(t *testing.T) {
	t.Parallel()
	lines := append(fieldsOf("record", reflect.TypeFor[memcache.Record]()), fieldsOf("cooldown", reflect.TypeFor[memcache.Cooldown]())...)
	lines = append(lines, fieldsOf("quota", reflect.TypeFor[memcache.Quota]())...)
	assert.Equal(t, golden(t, "fields.txt"), strings.Join(lines, "\n"))
	all := golden(t, "record_every_field.json") + golden(t, "record_upstream.json") + golden(t, "lease_cooldown_secret.json") + golden(t, "quota.json")
	for _, line := range lines {
		name := strings.Fields(line)[0]
		assert.Contains(t, all, `"`+name[strings.LastIndex(name, ".")+1:]+`":`)
	}
}

// fieldsOf lists the JSON fields of a struct type.
func fieldsOf(path string, of reflect.Type) []string {
	var lines []string
	for i := range of.NumField() {
		name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		switch field := of.Field(i).Type; {
		case name == "":
		case field.Kind() == reflect.Struct:
			lines = append(lines, fieldsOf(path+"."+name, field)...)
		default:
			lines = append(lines, path+"."+name+" "+strings.TrimPrefix(strings.ReplaceAll(field.String(), "int64", "int"), "*"))
		}
	}
	return lines
}

// Each file is read by a test above.
func TestGolden_EveryFileIsUsed(t *testing.T) {
	t.Parallel()
	used := []string{
		"count.txt", "entry.txt", "fields.txt", "keys.txt", "lease_held.txt", "mark.txt", "mark_with_word.txt",
		"record_newer.json", "record_version_0.json",
	}
	for name := range goldenRecords {
		used = append(used, name+".json")
	}
	for name := range goldenCooldowns {
		used = append(used, name+".json")
	}
	for name := range goldenQuotas {
		used = append(used, name+".json")
	}
	files := must(os.ReadDir(filepath.Join("testdata", "golden")))(t)
	var there []string
	for _, file := range files {
		there = append(there, file.Name())
	}
	assert.ElementsMatch(t, used, there)
}
