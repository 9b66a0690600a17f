package protocol

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// newer returns what a sidecar holds of a newer one's record.
func newer() *Held {
	h := holding("a")
	h.Record.V = memcache.RecordVersion + 1
	return h
}

// A newer sidecar's record is renewed a minute later than its own would be, and promised
// as its own.
func TestNewer_IsRenewedAMinuteLater(t *testing.T) {
	h := newer()
	assert.Equal(t, 3360*s, h.DueIn(at(0), 0))
	promised, _ := h.Promise(at(0))
	assert.Equal(t, 3575*s, promised)

	r := doubtful("a", 6, 75*s, "id")
	r.V = memcache.RecordVersion + 1
	require.True(t, h.Adopt(r, at(0)))
	assert.Equal(t, 135*s, h.DueIn(at(0), 0))
}

// A report of its token waits 30 s from the first one on.
func TestReportDelay_OfANewerRecord(t *testing.T) {
	since := at(0).Mono
	assert.Equal(t, 30*s, newer().ReportDelay(since, at(0)))
	assert.Equal(t, s, newer().ReportDelay(since, at(29*s)))
	assert.Equal(t, time.Duration(0), newer().ReportDelay(since, at(time.Hour)))
	assert.Equal(t, time.Duration(0), holding("a").ReportDelay(since, at(0)), "of this version")
	assert.Equal(t, time.Duration(0), (&Held{}).ReportDelay(since, at(0)))
}

// It is put back byte for byte: the very record that was read.
func TestNewer_IsPutBackAsItIs(t *testing.T) {
	h := newer()
	got := h.Reconcile(Polled{}, at(100*s))
	assert.Same(t, h.Record, got.PutBack)
}

// A claim over it keeps its version. A success has this version.
func TestNewer_EndsWithASuccess(t *testing.T) {
	h := newer()
	claim := h.Claim(h.Record, "", "mine", "pod", at(0))
	assert.Equal(t, memcache.RecordVersion+1, claim.V)
	assert.Equal(t, memcache.RecordVersion+1, h.TakeBack(h.Record, claim, claim, "", at(0)).V)
	assert.Equal(t, memcache.RecordVersion, h.Success(Fetched{Token: "b", Life: time.Hour, Sent: at(0)}, 9, []*memcache.Record{h.Record}, at(0)).V)
}
