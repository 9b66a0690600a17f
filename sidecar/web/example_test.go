package web_test

import (
	"context"
	"fmt"
	"net/http"

	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/web"
	"github.com/wxsidecar/wxsidecar/sidecar/web/listener"
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
		l, err := listener.Open(ctx, address)
		if err != nil {
			fmt.Println(err)
			continue
		}
		go func() { served <- listener.Serve(ctx, l, handler, listener.APILimits()) }()
	}
	stop()
	fmt.Println(<-served, <-served)
	// Output: <nil> <nil>
}
