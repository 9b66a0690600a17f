package memcache

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// FuzzRecord reads any value as a record. That never panics, the record is within its
// limits, and it reads the same after it is written.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"token":"canarytoken-1","number":5,"issued":100,"expires":7300,"api":"token","by":"pod","doubt":0,"past":["9f86d081"]}`))
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

		next := &Record{Token: "canarytoken-2", Number: r.Number, Issued: 1, Expires: 2, Past: r.PastAfter("canarytoken-2")}
		again, err = decodeRecord([]byte(next.encode()))
		require.NoError(t, err)
		assertSame(t, next, again, len(data))
		assert.True(t, again.Knows("canarytoken-2"))
		assert.True(t, r.Token == "" || len(next.Past) > 0 && next.Past[0] == Fingerprint(r.Token) || r.Token == "canarytoken-2")
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
	f.Add([]byte(`{"cooldown":"person","errcode":40164,"errmsg":"invalid ip","secret":"1f3870be","until":1763811960}`))
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

// FuzzEntry reads any value as an entry: a credential or damaged, the same for apps and
// sidecars.
func FuzzEntry(f *testing.F) {
	f.Add([]byte("canarytoken-1"), uint32(0))
	f.Fuzz(func(t *testing.T, value []byte, flags uint32) {
		item := &memcache.Item{Key: "wx1", Value: value, Flags: flags, CasID: 7}
		entry := entryOf(item)
		assert.Equal(t, versionOf(item), entry.seen)
		good := flags == 0 && ValidCredential(string(value))
		assert.Equal(t, good, intact(item))
		assert.Equal(t, !good, entry.Damaged)
		if !good {
			assert.Empty(t, entry.Token)
			return
		}
		assert.Equal(t, string(value), entry.Token)
		assert.False(t, strings.ContainsAny(entry.Token, " \r\n\t\x00\x7f"))
		if text, err := json.Marshal(entry.Token); assert.NoError(t, err) { // a record's token is one
			assert.LessOrEqual(t, len(text), 6*MaxCredential+2)
		}
	})
}
