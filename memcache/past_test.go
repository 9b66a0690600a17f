package memcache_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// A fingerprint is the first 8 hexadecimal digits of the SHA-256.
func TestFingerprint_StartOfSHA256(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "9f86d081", memcache.Fingerprint("test"))
	assert.Empty(t, memcache.Fingerprint(""))
}

// A record knows its own token and those in its past.
func TestRecordKnows_TokenAndPast(t *testing.T) {
	t.Parallel()
	r := &memcache.Record{Token: token2, Past: []string{memcache.Fingerprint(token1)}}
	assert.True(t, r.Knows(token2))
	assert.True(t, r.Knows(token1))
	assert.False(t, r.Knows(token3))
	assert.False(t, r.Knows(""))
	assert.False(t, r.Knows(memcache.Fingerprint(token1)), "a fingerprint is no token")
}

// The past is newest first and has at most eight fingerprints.
func TestRecordPastAfter_NewestFirst(t *testing.T) {
	t.Parallel()
	fp := memcache.Fingerprint
	full := []string{"00000001", "00000002", "00000003", "00000004", "00000005", "00000006", "00000007", "00000008"}
	for name, c := range map[string]struct {
		before memcache.Record
		token  string
		want   []string
	}{
		"the first token":           {memcache.Record{}, token1, nil},
		"the second":                {memcache.Record{Token: token1}, token2, []string{fp(token1)}},
		"the third":                 {memcache.Record{Token: token2, Past: []string{fp(token1)}}, token3, []string{fp(token2), fp(token1)}},
		"the same again":            {memcache.Record{Token: token2, Past: []string{fp(token1)}}, token2, []string{fp(token1)}},
		"one that was there before": {memcache.Record{Token: token2, Past: []string{fp(token1)}}, token1, []string{fp(token2)}},
		"after a doubt alone":       {memcache.Record{Past: []string{fp(token1)}}, token2, []string{fp(token1)}},
		"none":                      {memcache.Record{Token: token1}, "", []string{fp(token1)}},
		"the oldest goes":           {memcache.Record{Token: token1, Past: full}, token2, append([]string{fp(token1)}, full[:7]...)},
	} {
		before := strings.Join(c.before.Past, " ")
		assert.Equal(t, c.want, c.before.PastAfter(c.token), name)
		assert.Equal(t, before, strings.Join(c.before.Past, " "), "%s: the record itself is left alone", name)
	}
}

// At most eight fingerprints are read, and nothing that is not one.
func TestRecord_ReadsEightFingerprints(t *testing.T) {
	var past []string
	for i := range 12 {
		past = append(past, fmt.Sprintf(`"%08x"`, i))
	}
	list := strings.Join(past, ",")
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		for name, value := range map[string]string{
			"a dozen":                 with(`"past":[` + list + `]`),
			"among what is none":      with(`"past":["","canarytoken-0001","9F86D081","9f86d0812",` + list + `]`),
			"in a record of no token": `{"number":5,"past":[` + list + `]}`,
		} {
			s.put(t, "wx1:record", value, 0)
			seen := must(slot.Record())(t)
			require.NotNil(t, seen.Record, name)
			assert.Equal(t, []string{
				"00000000", "00000001", "00000002", "00000003", "00000004", "00000005", "00000006", "00000007",
			}, seen.Record.Past, name)
		}
	})
}
