package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// Ports and paths in the pod. The ports exceed 1024, because it does not run as root.
const (
	wechatAddress  = ":8443"
	controlAddress = ":8080"
	certificates   = "/etc/fakewechat" // a Secret of type kubernetes.io/tls
)

// serve is a fake WeChat until ctx ends.
func serve(ctx context.Context, stdout io.Writer) error {
	cert, err := tls.LoadX509KeyPair(filepath.Join(certificates, "tls.crt"), filepath.Join(certificates, "tls.key"))
	if err != nil {
		return fmt.Errorf("read the certificate: %w; is the Secret mounted at %s?", err, certificates)
	}
	fake := wechattest.New()
	wechat := &http.Server{
		Addr: wechatAddress, Handler: fake, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
	}
	control := &http.Server{
		Addr: controlAddress, Handler: newControl(fake), ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0),
	}
	_, _ = fmt.Fprintf(stdout, "WeChat at %s, control at %s\n", wechatAddress, controlAddress)

	failed := make(chan error, 2)
	var running sync.WaitGroup
	running.Go(func() { failed <- wechat.ListenAndServeTLS("", "") })
	running.Go(func() { failed <- control.ListenAndServe() })
	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
	}
	_, _ = wechat.Close(), control.Close()
	running.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
