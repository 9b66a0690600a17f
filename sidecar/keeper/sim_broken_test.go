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
// invariant that is named.
var brokenProtocols = []struct {
	rule, caughtBy string
	changes        []change
	only           string // the kind of episode that shows it soonest
}{
	{
		rule: "no lease check before the call", caughtBy: "One call", only: "ambushes",
		changes: []change{{
			"fetch.go", "if err := lease.Verify(); err != nil || lease.Left() < callNeeds {", "if err := error(nil); false {",
		}},
	},
	{
		rule: "no lease check after the call", caughtBy: "Never dead", only: "overtaken",
		changes: []change{{"renew.go", "c.api != wechat.Token || lease.Verify() == nil", "true"}},
	},
	{
		rule: "plain Set instead of add", caughtBy: "One call", only: "cold_starts",
		changes: []change{{
			"../../memcache/entry.go", "return s.server.add(key, value, life)",
			"return s.server.client.Set(&memcache.Item{Key: key, Value: []byte(value), Expiration: int32(life / time.Second)})",
		}},
	},
	{
		rule: "no doubt after a lost answer", caughtBy: "Never dead", only: "lost_answers",
		changes: []change{{"failure.go", "c.doubt(c.Wall().Add(doubtDelay), nil)", ""}},
	},
	{
		rule: "no doubt after a lost lease", caughtBy: "Never dead", only: "overtaken",
		changes: []change{{"renew.go", "c.doubt(c.Wall(), fetched)", ""}},
	},
	{
		rule: "plain delete of the lease", caughtBy: "One call", only: "sleepers",
		changes: []change{
			{"../../memcache/lease.go", "item, err := l.read()\n\tif err != nil {\n\t\treturn err\n\t}\n\terr = l.slot.server.compareAndDelete(item)", "err := l.slot.server.client.Delete(l.slot.leaseKey())"},
		},
	},
	{
		rule: "counters as numbers", caughtBy: "Never dead", only: "amnesia",
		changes: []change{{"memory.go", "return max(m.number+1, wall().UnixMilli())", "return m.number + 1"}},
	},
	{
		rule: "exptime 0 written", caughtBy: "Never dead", only: "outages",
		changes: []change{
			{"look.go", "if life < time.Second {\n\t\treturn\n\t}", ""},
			{"../../memcache/wire.go", "if life < time.Second {\n\t\treturn 0, errNoLife\n\t}", ""},
		},
	},
	{
		rule: "an error read as a miss", caughtBy: "One call", only: "shaky_starts",
		changes: []change{
			{"../../memcache/record.go", "if err != nil && !errors.Is(err, ErrMiss) {\n\t\treturn Seen{}, err\n\t}", "if err != nil {\n\t\titem = nil\n\t}"},
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
		return // a suite of its own: nine programs are built and run
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
			out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-overlay", overlayFile, "-o", program, ".").CombinedOutput()
			require.NoError(t, err, "%s", out)

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
