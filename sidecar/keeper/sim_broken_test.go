package keeper_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	simBroken      = flag.Bool("sim.broken", false, "run the simulation against each broken protocol")
	simBrokenSeeds = flag.Int("sim.broken-seeds", 40, "seeds to break each protocol with, at most")
)

// change is one place of the source and what stands there instead.
type change struct{ file, old, broken string }

// brokenProtocols breaks each rule once. The simulation must notice, by the
// invariant that is named; or a test must fail that makes what no episode does.
var brokenProtocols = []struct {
	rule, caughtBy string
	changes        []change
	only           string // the kind of episode that shows it soonest
	test           string // the test that fails instead of the simulation
	in             string // the folder of that test; empty: this one
}{
	{
		rule: "no claim before the request", test: "TestAttack_HolderKilledInRequest",
		changes: []change{{"attempt.go", "if !a.claims() {\n\t\tnow := a.now()", "if true {\n\t\tnow := a.now()"}},
	},
	{
		rule: "no lease check before the request", caughtBy: "One call", only: "ambushes",
		changes: []change{{"attempt.go", "case err == nil && a.lease.Left() >= requestNeeds:", "case true:"}},
	},
	{
		rule: "no lease check after a conflict", test: "TestAttack_OlderAnswerArrivesLast",
		changes: []change{{"attempt.go", "if err := a.lease.Verify(); err != nil { // lost, or nobody knows\n\t\t\t\tbreak\n\t\t\t}", ""}},
	},
	{
		rule: "a success is written over anything", test: "TestAttack_OlderAnswerArrivesLast",
		changes: []change{{"attempt.go", "if !a.claims() {\n\t\tthere = a.before\n\t}", "there, _ = a.credential.read()\n\tif there.Record != nil {\n\t\tfetched = a.success(got, a.before.Record, there.Record, max(a.number, there.Record.Number+1))\n\t}"}},
	},
	{
		rule: "a success clears every doubt", test: "TestAttack_ClaimOutlivesAnothersSuccess",
		changes: []change{{"protocol/doubt.go", "\treturn doubtOf(r)\n", "\treturn Doubt{}\n"}},
	},
	{
		rule: "a refusal leaves its claim", test: "TestAttack_RefusalTakesTheClaimBack",
		changes: []change{{"cooldown.go", "\ta.takeBack(reported)\n", "\tif reported != \"\" {\n\t\ta.takeBack(reported)\n\t}\n"}},
	},
	{
		rule: "no mark after a lost answer", test: "TestAttack_LostAnswerAndLostClaim",
		changes: []change{{"cooldown.go", "a.unsettled = protocol.Lost(a.sent)", ""}},
	},
	{
		rule: "no mark after a lost lease", test: "TestAttack_LaterAnswerCannotBeWritten",
		changes: []change{{"attempt.go", "doubtful.Doubt, doubtful.Claim = now.Wall.Unix(), a.id\n\ta.mu.Lock()\n\ta.unsettled = protocol.Unwritten(now)\n\ta.mu.Unlock()", "_ = now"}},
	},
	{
		rule: "no read-back of the claim", test: "TestAttack_ClaimsAreLostAtOnce",
		changes: []change{
			{"attempt.go", "if a.claimed, err = a.slot.Record(); err == nil && !a.claimed.Holds(record) {", "if a.claimed, err = a.slot.Record(); false {"},
		},
	},
	{
		rule: "put-back without comparing numbers", test: "TestAMemcachedEmptiedJustAfterARenewalCostsNoCall",
		changes: []change{
			{"protocol/held.go", "(valid && r.Number <= h.Record.Number)", "(valid && r.Number == h.Record.Number)"},
			{"protocol/poll.go", "there.Number < h.Record.Number", "there.Number != h.Record.Number"},
		},
	},
	{
		rule: "a failing sidecar does not yield", test: "TestAttack_OneSidecarCannotReachWeChat",
		changes: []change{{"cooldown.go", "Local: e.Local()", "Local: false"}},
	},
	{
		rule: "plain Set instead of add", test: "TestTakeLease_OneOfMany", in: "../../memcache",
		changes: []change{{
			"../../memcache/entry.go", "return s.server.add(key, value, life)",
			"return s.server.client.Set(&memcache.Item{Key: key, Value: []byte(value), Expiration: int32(life / time.Second)})",
		}},
	},
	{
		rule: "plain delete of the lease", test: "TestRelease_LeaseChangesHands", in: "../../memcache",
		changes: []change{
			{"../../memcache/lease.go", "item, err := l.read()\n\tif err != nil {\n\t\treturn err\n\t}\n\terr = l.slot.server.compareAndDelete(item)", "err := l.slot.server.client.Delete(l.slot.leaseKey())"},
		},
	},
	{
		rule: "counters as numbers", caughtBy: "Never dead", only: "amnesia",
		changes: []change{{"protocol/held.go", "return max(h.Number+2, now.Wall.UnixMilli())", "return h.Number + 2"}},
	},
	{
		rule: "exptime 0 written", caughtBy: "Never dead", only: "outages",
		changes: []change{
			{"repair.go", "if life < time.Second {\n\t\treturn\n\t}", ""},
			{"../../memcache/wire.go", "if life < time.Second {\n\t\treturn 0, errNoLife\n\t}", ""},
		},
	},
	{
		rule: "an error read as a miss", test: "TestAFailureIsNeverAnAnswer", in: "../../memcache",
		changes: []change{
			{"../../memcache/record.go", "if err != nil && !errors.Is(err, ErrMiss) {\n\t\treturn Seen{}, err\n\t}\n\treturn s.seenOf", "if err != nil && !errors.Is(err, ErrMiss) {\n\t\titem = nil\n\t}\n\treturn s.seenOf"},
		},
	},
}

func TestTheRulesThatAreBrokenStandInTheSource(t *testing.T) {
	for _, p := range brokenProtocols {
		for _, c := range p.changes {
			source, err := os.ReadFile(c.file)
			require.NoError(t, err)
			assert.Equal(t, 1, strings.Count(string(source), c.old), "%s: %q in %s", p.rule, c.old, c.file)
		}
	}
}

// TestSimulationNoticesWhatIsBroken runs the simulation against each broken
// protocol (make sim-broken): a simulation that notices nothing proves nothing.
func TestSimulationNoticesWhatIsBroken(t *testing.T) {
	if !*simBroken {
		return // a suite of its own: a program for each rule is built and run
	}
	for _, p := range brokenProtocols {
		t.Run(strings.ReplaceAll(p.rule, " ", "_"), func(t *testing.T) {
			overlay := map[string]map[string]string{"Replace": {}}
			for i, c := range p.changes {
				path, err := filepath.Abs(c.file)
				require.NoError(t, err)
				read := path
				if changed, ok := overlay["Replace"][path]; ok {
					read = changed
				}
				source, err := os.ReadFile(read)
				require.NoError(t, err)
				require.Equal(t, 1, strings.Count(string(source), c.old), "%q stands in %s", c.old, c.file)
				changed := filepath.Join(t.TempDir(), fmt.Sprintf("%d.go", i))
				require.NoError(t, os.WriteFile(changed, []byte(strings.Replace(string(source), c.old, c.broken, 1)), 0o600))
				overlay["Replace"][path] = changed
			}
			index, err := json.Marshal(overlay)
			require.NoError(t, err)
			overlayFile := filepath.Join(t.TempDir(), "overlay.json")
			require.NoError(t, os.WriteFile(overlayFile, index, 0o600))
			program := filepath.Join(t.TempDir(), "broken.test")
			out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-overlay", overlayFile, "-o", program, "./"+p.in).CombinedOutput()
			require.NoError(t, err, "%s", out)

			if p.test != "" {
				run := exec.CommandContext(t.Context(), program, "-test.run=^"+p.test+"$")
				run.Dir = p.in
				out, err := run.CombinedOutput()
				require.Error(t, err, "%s passes although this is broken: %s", p.test, p.rule)
				require.Contains(t, string(out), "--- FAIL: "+p.test)
				t.Logf("%s: caught by %s", p.rule, p.test)
				return
			}
			noticed := regexp.MustCompile(`(One call|Never dead|Never backwards|Never nothing|Never leaked|Bounded): at`)
			for seed := 1; seed <= *simBrokenSeeds; seed++ {
				run := exec.CommandContext(t.Context(), program, "-test.run=TestSimulation$",
					fmt.Sprintf("-sim.seed=%d", seed), "-sim.seeds=1", fmt.Sprintf("-sim.only=%s", p.only))
				out, err := run.CombinedOutput()
				if err == nil {
					continue
				}
				var names []string
				for _, m := range noticed.FindAllStringSubmatch(string(out), -1) {
					if !slices.Contains(names, m[1]) {
						names = append(names, m[1])
					}
				}
				assert.Contains(t, names, p.caughtBy)
				t.Logf("%s: caught with seed %d by: %s", p.rule, seed, strings.Join(names, ", "))
				return
			}
			assert.Fail(t, "not noticed", "%s: %d seeds", p.rule, *simBrokenSeeds)
		})
	}
}
