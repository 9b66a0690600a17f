//go:build race

package keeper_test

// underRace is true under the race detector, which takes ten times as long: long
// scenarios are cut to a quarter, and one seed must do.
const (
	underRace    = true
	defaultSeeds = 1
)
