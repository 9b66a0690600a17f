// Command floor is what net/http itself needs to answer: the floor under the
// sidecar's API. It answers every request with one body and keeps nothing.
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
	size := flag.Int("body", 170, "bytes of the body, of the form of the API's")
	headers := flag.Bool("headers", false, "with the API's headers too")
	wait := flag.Duration("wait", 0, "let every request wait so long")
	flag.Parse()
	if err := serve(*listen, handler(*size, *headers, *wait)); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func handler(size int, headers bool, wait time.Duration) http.Handler {
	const before, after = `{"access_token":"`, `","expires_in":6900}` + "\n"
	body := []byte(before + strings.Repeat("x", max(0, size-len(before)-len(after))) + after)
	jsonType, noStore := []string{"application/json"}, []string{"no-store"}
	var answer http.HandlerFunc = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }
	if headers {
		bare := answer
		answer = func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = jsonType
			w.Header()["Cache-Control"] = noStore
			bare(w, r)
		}
	}
	if wait > 0 {
		atOnce := answer
		answer = func(w http.ResponseWriter, r *http.Request) {
			<-time.After(wait)
			atOnce(w, r)
		}
	}
	return answer
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
	return http.Serve(l, handler) //nolint:gosec // without time-outs: the floor
}
