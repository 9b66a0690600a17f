// Command floor is what bare net/http needs to answer: the floor under the sidecar's
// API. It answers every request with one body and the API's headers.
package main

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:7299", "host:port or unix:///path")
	size := flag.Int("body", 170, "bytes of the body")
	wait := flag.Duration("wait", 0, "how long every request waits")
	flag.Parse()
	if err := serve(*listen, handler(*size, *wait)); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func handler(size int, wait time.Duration) http.Handler {
	const before, after = `{"access_token":"`, `","expires_in":6900}` + "\n"
	body := []byte(before + strings.Repeat("x", max(0, size-len(before)-len(after))) + after)
	jsonType, noStore := []string{"application/json"}, []string{"no-store"}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if wait > 0 {
			<-time.After(wait)
		}
		w.Header()["Content-Type"] = jsonType
		w.Header()["Cache-Control"] = noStore
		_, _ = w.Write(body)
	})
}

func serve(address string, handler http.Handler) error {
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix://"); ok {
		network, address = "unix", path
	}
	l, err := net.Listen(network, address) //nolint:noctx // it runs until it is killed
	if err != nil {
		return err
	}
	return http.Serve(l, handler) //nolint:gosec // without timeouts: the floor
}
