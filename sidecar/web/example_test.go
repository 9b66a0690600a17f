package web_test

import (
	"context"
	"fmt"
	"net/http"

	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/web"
)

// A sidecar's two listeners, until its context ends.
func Example() {
	group := keeper.New(keeper.Config{})
	api, err := web.NewAPI(web.APIConfig{Group: group})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error)
	for address, handler := range map[string]http.Handler{
		"127.0.0.1:0": api, ":0": web.NewOps(web.OpsConfig{Group: group}),
	} {
		l, err := web.Listen(ctx, address)
		if err != nil {
			fmt.Println(err)
			continue
		}
		go func() { served <- web.Serve(ctx, l, handler) }()
	}
	stop()
	fmt.Println(<-served, <-served)
	// Output: <nil> <nil>
}

// Beyond loopback and unix sockets the API needs a bearer token.
func ExampleIsLocal() {
	for _, address := range []string{"127.0.0.1:7200", "unix:///run/wxsidecar/api.sock", ":7200"} {
		fmt.Println(address, web.IsLocal(address))
	}
	// Output:
	// 127.0.0.1:7200 true
	// unix:///run/wxsidecar/api.sock true
	// :7200 false
}

func ExampleCheckListen() {
	fmt.Println(web.CheckListen("7200"))
	// Output: listen address "7200" is neither host:port nor unix:///path
}
