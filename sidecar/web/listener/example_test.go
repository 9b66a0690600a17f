package listener_test

import (
	"fmt"

	"github.com/wxsidecar/wxsidecar/sidecar/web/listener"
)

// Beyond loopback and unix sockets the API needs a bearer token.
func ExampleIsLocal() {
	for _, address := range []string{"127.0.0.1:7200", "unix:///run/wxsidecar/api.sock", ":7200"} {
		fmt.Println(address, listener.IsLocal(address))
	}
	// Output:
	// 127.0.0.1:7200 true
	// unix:///run/wxsidecar/api.sock true
	// :7200 false
}

func ExampleCheckAddress() {
	fmt.Println(listener.CheckAddress("7200"))
	// Output: listen address "7200": write it as host:port or unix:///path
}
