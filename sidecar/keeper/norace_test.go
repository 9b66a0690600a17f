//go:build !race

package keeper_test

const (
	scale        = 1
	defaultSeeds = 3
	defaultHours = 24
)
