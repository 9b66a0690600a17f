package memcache

import (
	"testing"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/entries"
)

// FuzzRecord reads any value as a record. That never panics, the record is within its
// limits, and it reads the same after it is written.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"token":"canarytoken-0001","number":5,"issued":100,"expires":7300,"api":"token","by":"pod","doubt":0,"past":["9f86d081"]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeRecord(data)
		if err != nil {
			assert.Nil(t, r)
			assert.NotContains(t, err.Error(), "canary")
			return
		}
		assertLimits(t, r)

		written := r.encode()
		if r.Newer() {
			assert.Equal(t, string(data), written, "byte for byte")
		}
		require.LessOrEqual(t, len(written), maxRecord)
		again, err := decodeRecord([]byte(written))
		require.NoError(t, err)
		assert.Equal(t, written, again.encode())
		assertSame(t, r, again, len(data))

		clone := r.Clone()
		assertSame(t, r, clone, len(data))
		clone.Doubt = 7
		again, err = decodeRecord([]byte(clone.encode()))
		require.NoError(t, err)
		assert.Equal(t, int64(7), again.Doubt)
		assert.Equal(t, r.V, again.V)

		next := &Record{Token: "canarytoken-0002", Number: r.Number, Issued: 1, Expires: 2, Past: r.PastAfter("canarytoken-0002")}
		again, err = decodeRecord([]byte(next.encode()))
		require.NoError(t, err)
		assertSame(t, next, again, len(data))
		assert.True(t, again.Knows("canarytoken-0002"))
		assert.True(t, r.Token == "" || len(next.Past) > 0 && next.Past[0] == Fingerprint(r.Token) || r.Token == "canarytoken-0002")
	})
}

func assertLimits(t *testing.T, r *Record) {
	t.Helper()
	assert.True(t, r.Number >= 1 && r.Number <= maxNumber)
	assert.True(t, r.Doubt >= 0 && r.Doubt <= maxNumber)
	assert.LessOrEqual(t, len(r.Past), MaxPast)
	for _, fingerprint := range r.Past {
		assert.Regexp(t, "^[0-9a-f]{8}$", fingerprint)
	}
	assert.True(t, len(r.API) <= maxName && len(r.By) <= maxName && len(r.Claim) <= MaxClaim)
	assert.True(t, r.V >= 0 && r.V <= maxVersion)
	assert.True(t, r.Reported == "" || isFingerprint(r.Reported))
	if r.Token != "" {
		assert.True(t, ValidCredential(r.Token))
		assert.Positive(t, r.Issued)
		assert.True(t, r.Life() > 0 && r.Life() <= maxTokenLife)
		assert.NotContains(t, r.Past, Fingerprint(r.Token))
	}
}

// assertSame asserts that two records are the same. White space within unknown fields can
// differ. All unknown fields are dropped if the record would be too long, and those of a
// short record never are.
func assertSame(t *testing.T, want, got *Record, size int) {
	t.Helper()
	if got.unknownFields == nil && size > maxRecord/8 {
		return
	}
	assert.Len(t, got.unknownFields, len(want.unknownFields))
	for name, value := range want.unknownFields {
		assert.Equal(t, compact(value), compact(got.unknownFields[name]), name)
	}
	a, b := *want, *got
	a.unknownFields, b.unknownFields = nil, nil
	a.verbatim, b.verbatim = verbatim{}, verbatim{}
	assert.Equal(t, a, b)
}

// FuzzLease reads any value as a lease or a cooldown. A cooldown reads the same after it
// is written.
func FuzzLease(f *testing.F) {
	f.Add([]byte(`{"cooldown":"person","errcode":40164,"secret":"1f3870be","until":1763811960}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		item := &memcache.Item{Key: "wx1:lease", Value: value, CasID: 7}
		seen := leaseOf(item)
		assert.Equal(t, versionOf(item), seen.seen)
		require.Equal(t, seen.Cooldown == nil, seen.Held, "one of the two")
		if seen.Held {
			return
		}
		assert.NotEmpty(t, seen.Cooldown.Class)
		assert.LessOrEqual(t, len(value), maxCooldown)
		if text := compact(seen.Cooldown); len(text) <= maxCooldown {
			again := leaseOf(&memcache.Item{Value: []byte(text)})
			require.NotNil(t, again.Cooldown)
			assert.Equal(t, seen.Cooldown, again.Cooldown)
		}
	})
}

// FuzzEntry reads any value as an entry, by the rule of the table for all readers. A
// value with flags 0 that the record knows is never damaged.
func FuzzEntry(f *testing.F) {
	f.Add([]byte("canarytoken-0001"), uint32(0))
	f.Fuzz(func(t *testing.T, value []byte, flags uint32) {
		item := &memcache.Item{Key: "wx1", Value: value, Flags: flags, CasID: 7}
		valid := entries.Valid(string(value), int(flags))
		entry := entryOf(item, nil)
		assert.Equal(t, versionOf(item), entry.seen)
		assert.Equal(t, valid, ValidEntry(string(value)) && flags == 0)
		assert.Equal(t, !valid, entry.Damaged)
		if valid {
			assert.Equal(t, string(value), entry.Token)
			assert.True(t, ValidCredential(entry.Token), "a record can have it")
		} else {
			assert.Empty(t, entry.Token)
		}

		known := flags == 0 && ValidCredential(string(value))
		assert.Equal(t, !known, entryOf(item, &Record{Token: string(value)}).Damaged)
		assert.Equal(t, !known, entryOf(item, &Record{Past: []string{Fingerprint(string(value))}}).Damaged)
	})
}
