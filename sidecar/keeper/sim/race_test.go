//go:build race

package sim

// Under the race detector, which takes ten times as long, each scenario runs through
// the same code with a quarter of the time, the readers, the sidecars or the seeds. The
// run without it has all of them.
const (
	scale        = 4
	defaultSeeds = 1
	defaultHours = 6
)
