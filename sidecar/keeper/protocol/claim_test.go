package protocol

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// A renewal is wanted while the credential is due, or while the reported one is current.
// Another token serves meanwhile.
func TestWants_DueOrReported(t *testing.T) {
	handedOver := holding("a")
	handedOver.Record.Reported = memcache.Fingerprint("a")
	for name, c := range map[string]struct {
		held          *Held
		why           Why
		after         time.Duration
		wants, serves bool
	}{
		"nothing held":                  {&Held{}, Why{}, 0, true, false},
		"fresh":                         {holding("a"), Why{}, 0, false, true},
		"due":                           {holding("a"), Why{}, 3300 * time.Second, true, true},
		"expired":                       {holding("a"), Why{}, 7200 * time.Second, true, false},
		"the current one is reported":   {holding("a"), Why{Invalid: "a"}, 0, true, false},
		"another was reported":          {holding("b"), Why{Invalid: "a"}, 0, false, true},
		"another was reported, and due": {holding("b"), Why{Invalid: "a"}, 3300 * time.Second, false, true},
		"handed over":                   {handedOver, Why{Invalid: "a", Proven: true}, 0, true, false},
		"handed over, and answered":     {holding("a"), Why{Invalid: "a", Proven: true}, 0, false, false},
	} {
		assert.Equal(t, c.wants, c.held.Wants(c.why, at(c.after), 0), name)
		assert.Equal(t, c.serves, c.held.Serves(c.why, at(c.after)), name)
	}
	assert.False(t, Why{}.IsReport())
	assert.True(t, Why{Invalid: "a"}.IsReport())
}

// A request is planned if it renews a valid token that is due by its age, and if such
// requests are at least a budget's window apart.
func TestPlanFor_ByAgeAlone(t *testing.T) {
	inDoubt := holding("a")
	inDoubt.Record.Doubt = 1
	lives := func(seconds int64) *Held {
		r := record("a", 5, 0)
		r.Expires = r.Issued + seconds
		h := &Held{}
		h.Remember(r, at(0))
		return h
	}
	for name, c := range map[string]struct {
		held    *Held
		why     Why
		after   time.Duration
		every   time.Duration
		planned bool
	}{
		"due":                     {holding("a"), Why{}, 3300 * time.Second, 1650 * time.Second, true},
		"a second before":         {holding("a"), Why{}, 3299 * time.Second, 0, false},
		"due, and in doubt":       {inDoubt, Why{}, 3300 * time.Second, 1650 * time.Second, true},
		"in doubt alone":          {inDoubt, Why{}, 100 * time.Second, 0, false},
		"reported":                {holding("a"), Why{Invalid: "a"}, 3300 * time.Second, 0, false},
		"nothing held":            {&Held{}, Why{}, 0, 0, false},
		"expired":                 {holding("a"), Why{}, 7200 * time.Second, 0, false},
		"lives 1,495 s":           {lives(1495), Why{}, 1200 * time.Second, 600 * time.Second, true},
		"lives 1,494 s":           {lives(1494), Why{}, 1200 * time.Second, 599500 * time.Millisecond, false},
		"lives ten seconds":       {lives(10), Why{}, 5 * time.Second, 2500 * time.Millisecond, false},
		"lives ten, not due, ten": {lives(10), Why{}, 4 * time.Second, 0, false},
	} {
		every, planned := c.held.PlanFor(c.why, at(c.after))
		assert.Equal(t, c.planned, planned, name)
		assert.Equal(t, c.every, every, name)
	}
}

// A claim is what was read, with a doubt 75 s ahead, under a number two above all seen.
func TestClaim_OfAToken(t *testing.T) {
	h := holding("a")
	read := record("a", 5, 0)
	read.Past, read.Reported = []string{"9f86d081"}, memcache.Fingerprint("a")
	got := h.Claim(read, "", "mine", "pod", at(100*time.Second))
	want := read.Clone()
	want.Doubt, want.Claim, want.Age = origin.Add(175*time.Second).Unix(), "mine", 100
	want.Number = origin.Add(100 * time.Second).UnixMilli()
	assert.Equal(t, want, got)
	assert.Zero(t, read.Doubt, "records are shared")

	h.Number = want.Number + 1000
	assert.Equal(t, want.Number+1002, h.Claim(read, "", "mine", "pod", at(100*time.Second)).Number)
}

// A claim keeps a later doubt of another, but none that is out of range.
func TestClaim_OverADoubt(t *testing.T) {
	own := origin.Add(75 * time.Second).Unix()
	for doubt, want := range map[time.Duration]int64{
		0: own, 60 * time.Second: own, 100 * time.Second: origin.Add(100 * time.Second).Unix(), 151 * time.Second: own,
	} {
		got := holding("a").Claim(doubtful("a", 5, doubt, "other"), "", "mine", "pod", at(0))
		assert.Equal(t, want, got.Doubt, "doubt in %s", doubt)
		assert.Equal(t, "mine", got.Claim)
	}
}

// A claim without a token names in its past all that no sidecar may take for external.
func TestClaim_WithoutAToken(t *testing.T) {
	held := holding("a")
	held.Record.Past = []string{"00000001"}
	expired := record("old", 4, -3*time.Hour)
	expired.Past = []string{"00000002"}
	for name, c := range map[string]struct {
		held  *Held
		read  *memcache.Record
		entry string
		past  []string
	}{
		"no record":                   {held, nil, "entry", []string{memcache.Fingerprint("entry"), memcache.Fingerprint("a"), "00000001"}},
		"no record, entry as held":    {held, nil, "a", []string{memcache.Fingerprint("a"), "00000001"}},
		"nothing at all":              {&Held{}, nil, "", nil},
		"an expired record":           {&Held{}, expired, "old", []string{memcache.Fingerprint("old"), "00000002"}},
		"a record without a token":    {&Held{}, &memcache.Record{Number: 3, Past: []string{"00000003"}}, "", []string{"00000003"}},
		"an older record than held":   {held, record("older", 3, 0), "", []string{memcache.Fingerprint("a"), "00000001", memcache.Fingerprint("older")}},
		"more than a record may have": {held, &memcache.Record{Number: 3, Past: many(9)}, "entry", append([]string{memcache.Fingerprint("entry"), memcache.Fingerprint("a"), "00000001"}, many(5)...)},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.held.Claim(c.read, c.entry, "mine", "pod", at(0))
			assert.Empty(t, got.Token)
			assert.Equal(t, c.past, got.Past)
			assert.Equal(t, "mine", got.Claim)
			assert.Equal(t, origin.Add(75*time.Second).Unix(), got.Doubt)
			assert.Equal(t, memcache.RecordVersion, got.V)
		})
	}
}

func many(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("9000000%d", i))
	}
	return all
}

// A claim that is taken back leaves what was read, with the same doubt and a number of
// its own.
func TestTakeBack_LeavesWhatWasRead(t *testing.T) {
	h := holding("a")
	before := doubtful("a", 5, 30*time.Second, "other")
	claim := h.Claim(before, "", "mine", "pod", at(0))
	got := h.TakeBack(before, claim, claim, "", at(10*time.Second))
	want := before.Clone()
	want.Number, want.Age = claim.Number+1, 10
	assert.Equal(t, want, got)
	assert.Equal(t, memcache.Fingerprint("a"), h.TakeBack(before, claim, claim, memcache.Fingerprint("a"), at(0)).Reported)

	for name, before := range map[string]*memcache.Record{"no record": nil, "an expired one": record("old", 4, -3*time.Hour)} {
		nothing := &Held{}
		claim := nothing.Claim(before, "entry", "mine", "pod", at(0))
		got := nothing.TakeBack(before, claim, claim, "", at(0))
		assert.Empty(t, got.Token, name)
		assert.Zero(t, got.Doubt, name)
		assert.Empty(t, got.Claim, name)
		assert.Equal(t, claim.Past, got.Past, name)
		assert.Equal(t, claim.Number+1, got.Number, name)
	}
}

// Another sidecar's success can keep the doubt of a claim, with its id. When that claim is
// taken back, the other's token stays, and only the doubt ends.
func TestTakeBack_AnothersSuccessStays(t *testing.T) {
	h := holding("a")
	before := record("a", 5, 0)
	claim := h.Claim(before, "", "mine", "pod", at(0))
	success := doubtful("b", claim.Number+100, 75*time.Second, "mine")
	got := h.TakeBack(before, claim, success, "", at(80*time.Second))
	want := success.Clone()
	want.Doubt, want.Claim, want.Number = 0, "", success.Number+1
	assert.Equal(t, want, got)

	before.Doubt, before.Claim = origin.Unix(), "older"
	got = h.TakeBack(before, claim, success, "", at(80*time.Second))
	assert.Equal(t, "b", got.Token)
	assert.Equal(t, "older", got.Claim, "the doubt that the claim replaced")
}

// A success has the new token, what it replaced, and the doubts that survive it.
func TestSuccess_ReplacesTheClaim(t *testing.T) {
	h := holding("a")
	h.Record.Past = []string{"00000001"}
	before := h.Record
	f := Fetched{Token: "b", Life: 7200 * time.Second, API: "token", By: "pod", Sent: at(100 * time.Second)}
	got := h.Success(f, 9, []*memcache.Record{before}, at(103*time.Second), "mine")
	want := &memcache.Record{
		V: memcache.RecordVersion, Token: "b", Number: 9, API: "token", By: "pod",
		Issued: origin.Add(100 * time.Second).Unix(), Expires: origin.Add(7300 * time.Second).Unix(),
		Past: []string{memcache.Fingerprint("a"), "00000001"}, Age: 3,
	}
	assert.Equal(t, want, got)

	same := h.Success(Fetched{Token: "a", Life: time.Hour, Sent: at(0)}, 9, []*memcache.Record{before}, at(0))
	assert.NotContains(t, same.Past, memcache.Fingerprint("a"), "a record that names its own token is unreadable")
}

// The doubts of both what was read before the claim and what stands there now survive,
// the earlier of two.
func TestSuccess_KeepsOthersDoubts(t *testing.T) {
	f := Fetched{Token: "b", Life: 7200 * time.Second, API: "token", Sent: at(0)}
	early, late := doubtful("a", 6, 10*time.Second, "early"), doubtful("a", 7, 60*time.Second, "late")
	own := doubtful("a", 8, 75*time.Second, "mine")
	for name, c := range map[string]struct {
		before, there *memcache.Record
		want          string
	}{
		"none":            {record("a", 5, 0), nil, ""},
		"its own":         {record("a", 5, 0), own, ""},
		"another's":       {record("a", 5, 0), late, "late"},
		"from before":     {late, own, "late"},
		"the earlier one": {late, early, "early"},
		"in any order":    {early, late, "early"},
	} {
		h := holding("a")
		for _, r := range []*memcache.Record{c.before, c.there} {
			if r != nil {
				h.seeDoubt(r, at(0))
			}
		}
		got := h.Success(f, 9, []*memcache.Record{c.there, c.before, h.Record}, at(0), "mine")
		assert.Equal(t, c.want, got.Claim, name)
		assert.Equal(t, c.want != "", got.Doubt > 0, name)
		f := f
		f.Doubtless = true
		require.Zero(t, h.Success(f, 9, []*memcache.Record{c.there, c.before, h.Record}, at(0), "mine").Doubt, "%s: stable_token and tickets end all", name)
	}
}
