//go:build !chaos

package keeper

// failpoint does nothing, and costs nothing. In the build with the tag chaos it is
// where a renewal can be stopped, to see what the others do then (failpoint_chaos.go).
func (c *credential) failpoint(string) {}
