package ring_test

import (
	"fmt"

	"github.com/wxsidecar/wxsidecar/memcache/ring"
)

// The entry of each account is on one of the servers, and the credential's other
// keys are beside it.
func ExampleNew() {
	servers := []string{"memcached-0.memcached:11211", "memcached-1.memcached:11211"}
	server := ring.New(ring.Ketama, servers)
	for _, key := range []string{"wx1", "wx2", "wx3"} {
		fmt.Println(key, servers[server(key)])
	}
	// Output:
	// wx1 memcached-0.memcached:11211
	// wx2 memcached-0.memcached:11211
	// wx3 memcached-1.memcached:11211
}
