package memcachetest_test

import (
	"fmt"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

func Example() {
	server := memcachetest.New()
	defer func() { _ = server.Close() }()

	client := memcache.New("127.0.0.1:11211") // never dialled
	client.DialContext = server.Dial
	fmt.Println(client.Set(&memcache.Item{Key: "wx1", Value: []byte("token")}))
	item, _ := server.Peek("wx1")
	fmt.Println(item.Value, server.Count("set"))
	// Output:
	// <nil>
	// token 1
}

// The answer to a write is lost, although the write happened.
func ExampleServer_OnCommand() {
	server := memcachetest.New()
	defer func() { _ = server.Close() }()
	server.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
		if c.Verb == "set" {
			return memcachetest.DropAfter
		}
		return memcachetest.None
	})

	client := memcache.New("127.0.0.1:11211")
	client.DialContext = server.Dial
	fmt.Println(client.Set(&memcache.Item{Key: "wx1", Value: []byte("token")}))
	fmt.Println(server.Keys())
	// Output:
	// EOF
	// [wx1]
}
