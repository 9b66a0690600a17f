package realmemcached

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
)

// The ports are below those for outgoing connections (32,768 and up on Linux), which
// could take a port between a kill and a restart.
const (
	firstPort = 20_000
	ports     = 10_000
)

var (
	begin = rand.IntN(ports) //nolint:gosec // no secret; differs between the packages that run at the same time
	given atomic.Int64
)

// nextAddress returns an address that this process has not used. So no other test takes
// the address of a memcached that is down.
func nextAddress() string {
	return fmt.Sprintf("127.0.0.1:%d", firstPort+(begin+int(given.Add(1)))%ports)
}
