// Command fakewechat is the WeChat of the PHP client's tests: package wechattest over
// https, and a control listener over plain http. It writes its certificate to the path
// in its only argument, and prints one line of JSON with both addresses. It ends when
// its standard input does, so that it never outlives a test run.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		log.Fatalf("fakewechat: %v", err)
	}
}

func run(args []string, stdin io.Reader, stdout io.Writer) error {
	if len(args) != 1 {
		return errors.New("usage: fakewechat CERTIFICATE")
	}
	wechat := wechattest.New()
	url, certificate, stop, err := wechat.ListenTLS()
	if err != nil {
		return err
	}
	defer stop()
	if err := os.WriteFile(args[0], certificate, 0o600); err != nil { //nolint:gosec // the path is the tests'
		return err
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	control := &http.Server{Handler: routes(wechat), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = control.Serve(listener)
	}()
	defer func() {
		_ = control.Close()
		<-served
	}()
	if err := json.NewEncoder(stdout).Encode(map[string]string{
		"wechat": url, "control": "http://" + listener.Addr().String(),
	}); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, stdin)
	return err
}

// routes returns the routes with which a test controls WeChat.
func routes(wechat *wechattest.Server) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /account", func(_ http.ResponseWriter, r *http.Request) {
		wechat.AddAccount(r.FormValue("appid"), r.FormValue("secret"))
	})
	mux.HandleFunc("POST /fail", func(w http.ResponseWriter, r *http.Request) {
		code, err := strconv.Atoi(r.FormValue("errcode"))
		if err != nil {
			http.Error(w, "errcode: not a number", http.StatusBadRequest)
			return
		}
		wechat.FailAll(code) // 0 ends it
	})
	mux.HandleFunc("POST /external-fetch", func(_ http.ResponseWriter, r *http.Request) {
		wechat.FetchExternally(r.FormValue("appid"))
	})
	mux.HandleFunc("POST /invalidate-tickets", func(_ http.ResponseWriter, r *http.Request) {
		wechat.VoidTickets(r.FormValue("appid"))
	})
	mux.HandleFunc("GET /ticket", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(wechat.AcceptsTicket(r.FormValue("ticket")))
	})
	mux.HandleFunc("GET /issues", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(wechat.Issues(r.FormValue("appid")))
	})
	return mux
}
