package main

import (
	"fmt"
	"net/http"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/sidecar/web/listener"
)

// askOwn makes a client ask the sidecar with this SIDECAR_LISTEN and SIDECAR_TLS_CERT_FILE.
func askOwn(cfg *client.Config, listen, certFile string) error {
	network, address, _ := probeAddress(listen) // New refuses an empty one
	cfg.Sidecar = map[string]string{"tcp": "http://", "unix": "unix://"}[network] + address
	if certFile == "" || network != "tcp" {
		return nil
	}
	config, err := listener.ToSelf(certFile)
	if err != nil {
		return fmt.Errorf("SIDECAR_TLS_CERT_FILE: %w", err)
	}
	cfg.Sidecar, cfg.CAFile, cfg.Transport = "https://"+address, "", &http.Transport{TLSClientConfig: config}
	return nil
}
