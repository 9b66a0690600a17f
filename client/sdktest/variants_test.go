package sdktest

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// long asks for all renewals and all trouble: some minutes. See `make sdk VARIANTS=long`.
func long() bool { return os.Getenv("WXSIDECAR_VARIANTS") != "" }

// TestVariants runs a program of every kind beside one sidecar: first over ten
// renewals, in the short form two; then in trouble. It prints the table of docs/benchmarks.md.
func TestVariants(t *testing.T) { // not parallel: see newSilenceper
	var quiet, trouble []*program
	t.Run("renewals", func(t *testing.T) { quiet = overRenewals(t) })
	t.Run("trouble", func(t *testing.T) { trouble = inTrouble(t) })
	if len(quiet) > 0 && len(trouble) > 0 && !t.Failed() { // one of them was not asked for: no table
		t.Logf("\n\n%s", markdown(quiet, trouble))
	}
}

func overRenewals(t *testing.T) []*program {
	t.Helper()
	plan, renewals := plan{life: 20 * time.Second, grace: 6 * time.Second}, 2
	if long() {
		renewals = 10
	}
	s := newStage(t, plan)
	all := run(t, s, func() { s.awaitRenewals(t, renewals) })
	for _, p := range all {
		p.assertSpotless(t)
		assert.Zero(t, p.without(), "%s had no token: %s", p, p.told.First)
	}
	assert.Equal(t, s.road.so().fetches, s.wechat.Calls("", ""), "nobody but the sidecar called WeChat")
	assert.Equal(t, s.road.so().fetches, s.wechat.Issues(appID)+len(s.wechat.Tickets()), "and it called once per renewal")
	t.Logf("%d renewals of the token, %d of the ticket, %d calls to WeChat, all of them the sidecar's",
		s.renewed(), len(s.wechat.Tickets())-1, s.wechat.Calls("", ""))
	return all
}
