package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
)

// maxCA bounds the file of CA certificates: a bundle of all public ones has 220 KiB.
const maxCA = 1 << 20

// readCAs reads the certificates that the sidecar's must be signed by. That happens for
// every connection: connections are rare, and the file can change at any time.
func readCAs(path string) (*x509.CertPool, error) {
	content, err := readFile(path, maxCA)
	if err != nil {
		return nil, fmt.Errorf("read the CA certificates: %w; check SIDECAR_CA_FILE", err)
	}
	pool := x509.NewCertPool()
	if len(content) > maxCA || !pool.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("%s has no certificate in PEM, or is too long; check SIDECAR_CA_FILE", path)
	}
	return pool, nil
}

// dialTLS returns a function that connects with TLS, and trusts the CAs in this file alone.
func dialTLS(caFile string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		pool, err := readCAs(caFile)
		if err != nil {
			return nil, err
		}
		dialer := tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, NextProtos: []string{"http/1.1"}}}
		return dialer.DialContext(ctx, network, address)
	}
}

// advice returns what to check about an error of a request to the sidecar.
func advice(err error) string {
	var record tls.RecordHeaderError
	var refused *tls.CertificateVerificationError
	var connection *net.OpError
	switch {
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "the sidecar does not speak https: write http:// in SIDECAR_URL"
	case errors.As(err, &refused):
		return "check SIDECAR_CA_FILE, and that the certificate has the name in SIDECAR_URL"
	case errors.As(err, &connection) && connection.Net == "unix" && errors.Is(err, fs.ErrPermission):
		return "this process may not open the socket: give it the socket's group, in Kubernetes by supplementalGroups or fsGroup"
	case errors.As(err, &connection) && connection.Net == "unix" && errors.Is(err, fs.ErrNotExist):
		return "this process sees no socket there: mount its folder, check SIDECAR_LISTEN, and that the sidecar is running"
	}
	return "check SIDECAR_URL and that the sidecar is running"
}
