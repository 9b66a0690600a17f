// Command fetch is the floor under a sidecar's start: one request over https, one
// set at memcached, no library but Go's own. With -listen it serves afterwards, and
// shows the memory of a program that has made one TLS request.
//
// FETCH_URL is what it requests; FETCH_MEMCACHED and FETCH_KEY say where the
// access_token of the answer goes, if anywhere.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
)

func main() {
	listen := flag.String("listen", "", "host:port: serve afterwards")
	flag.Parse()
	if err := run(*listen); err != nil {
		fmt.Fprintln(os.Stderr, "fetch:", err)
		os.Exit(1)
	}
}

func run(listen string) error {
	token, err := get(os.Getenv("FETCH_URL"))
	if err != nil {
		return err
	}
	if server := os.Getenv("FETCH_MEMCACHED"); server != "" {
		if err := set(server, os.Getenv("FETCH_KEY"), token); err != nil {
			return err
		}
	}
	if listen == "" {
		return nil
	}
	//nolint:gosec // without timeouts: the floor
	return http.ListenAndServe(listen, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	}))
}

// get returns errors without details, because the URL has a secret.
func get(url string) (string, error) {
	resp, err := http.Get(url) //nolint:gosec,noctx // the bench names it, and kills what hangs
	if err != nil {
		return "", errors.New("the request failed")
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Token string `json:"access_token"`
	}
	if json.NewDecoder(resp.Body).Decode(&answer) != nil || answer.Token == "" {
		return "", errors.New("no token in the answer")
	}
	return answer.Token, nil
}

func set(server, key, value string) error {
	conn, err := net.Dial("tcp", server) //nolint:gosec,noctx // as above
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprintf(conn, "set %s 0 3600 %d\r\n%s\r\n", key, len(value), value); err != nil {
		return err
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || line != "STORED\r\n" {
		return errors.New("memcached did not store the token")
	}
	return nil
}
