//go:build !race

package sim

const (
	scale        = 1
	defaultSeeds = 3
	defaultHours = 24
)
