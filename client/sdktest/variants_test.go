package sdktest

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// long selects all renewals and all faults, which take some minutes: `make sdk VARIANTS=long`.
func long() bool { return os.Getenv("WXSIDECAR_VARIANTS") != "" }

// TestVariants_BesideOneSidecar runs a program of each kind beside one sidecar: first
// over ten renewals (two in the short form), then with faults. It prints the table of
// docs/benchmarks.md.
func TestVariants_BesideOneSidecar(t *testing.T) { // not parallel: see newSilenceper
	var quiet, faults []*program
	t.Run("renewals", func(t *testing.T) { quiet = overRenewals(t) })
	t.Run("faults", func(t *testing.T) { faults = withFaults(t) })
	if len(quiet) > 0 && len(faults) > 0 && !t.Failed() { // without one of them there is no table
		t.Logf("\n\n%s", markdown(quiet, faults))
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
		p.assertFaultless(t)
		assert.Zero(t, p.without(), "%s had no token: %s", p, p.tally.Error)
	}
	assert.Equal(t, s.sidecarEndpoint.counts().fetches, s.wechat.Requests("", ""), "only the sidecar sent requests to WeChat")
	assert.Equal(t, s.sidecarEndpoint.counts().fetches, s.wechat.Issues(appID)+len(s.wechat.Tickets()), "one request a renewal")
	t.Logf("%d renewals of the token, %d of the ticket, %d requests to WeChat, all by the sidecar",
		s.renewed(), len(s.wechat.Tickets())-1, s.wechat.Requests("", ""))
	return all
}
