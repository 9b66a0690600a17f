//go:build !chaos

package keeper

// failpoint does nothing. In a build with the tag chaos, bench/chaos can stop a renewal
// there (failpoint_chaos.go).
func (c *credential) failpoint(string) {}
