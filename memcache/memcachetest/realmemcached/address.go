package realmemcached

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
)

// Ports lie below those that systems take for outgoing connections (32,768 and up
// on Linux): one of these might come between a kill and a restart.
const (
	firstPort = 20_000
	ports     = 10_000
)

var (
	begin = rand.IntN(ports) //nolint:gosec // guards nothing; tests of other packages run at the same time
	given atomic.Int64
)

// nextAddress is one that this process has not had, so that no other test takes it
// while its memcached is down.
func nextAddress() string {
	return fmt.Sprintf("127.0.0.1:%d", firstPort+(begin+int(given.Add(1)))%ports)
}
