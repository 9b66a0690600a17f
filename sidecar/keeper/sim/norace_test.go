//go:build !race

package sim

const (
	scale        = 1
	defaultSeeds = 2
	defaultHours = 24
)
