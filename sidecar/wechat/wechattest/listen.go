package wechattest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"
)

// ListenTLS serves https on a free port of 127.0.0.1 with a self-made
// certificate, which also names localhost, wechat.test, api.weixin.qq.com and
// api2.weixin.qq.com. certPEM is what a client must trust, for example through
// SSL_CERT_FILE. stop ends every call under way and waits until all is gone.
func (s *Server) ListenTLS() (url string, certPEM []byte, stop func(), err error) {
	return s.ListenTLSThrough(s)
}

// ListenTLSThrough is [Server.ListenTLS] for a handler that stands before the
// server, and sees what the programs of this one listener ask for.
func (s *Server) ListenTLSThrough(handler http.Handler) (url string, certPEM []byte, stop func(), err error) {
	cert, certPEM, err := SelfSigned(365*24*time.Hour, "localhost", "wechat.test", "api.weixin.qq.com", "api2.weixin.qq.com")
	if err != nil {
		return "", nil, nil, err
	}
	listener, err := listen()
	if err != nil {
		return "", nil, nil, err
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	return "https://" + listener.Addr().String(), certPEM, serve(tls.NewListener(listener, config), handler), nil
}

// ListenHTTP serves plain http on a free port of 127.0.0.1. stop is as for
// [Server.ListenTLS].
func (s *Server) ListenHTTP() (url string, stop func(), err error) {
	listener, err := listen()
	if err != nil {
		return "", nil, err
	}
	return "http://" + listener.Addr().String(), serve(listener, s), nil
}

func listen() (net.Listener, error) {
	return new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
}

// servingKey leads from a call's context to the context of the listener, which
// outlives the client.
type servingKey struct{}

func whileServing(ctx context.Context) context.Context {
	if serving, ok := ctx.Value(servingKey{}).(context.Context); ok {
		return serving
	}
	return context.WithoutCancel(ctx)
}

// serve answers on a listener until stop, which waits for every goroutine.
func serve(listener net.Listener, handler http.Handler) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			running.Add(1)
			defer running.Done()
			handler.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0),
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(ctx, servingKey{}, ctx)
		},
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	return sync.OnceFunc(func() {
		cancel()
		_ = server.Close()
		<-served
		running.Wait()
	})
}

// SelfSigned returns a certificate for 127.0.0.1 and these names that is its own
// authority, and the same certificate as PEM. A negative life is that of an expired one.
func SelfSigned(life time.Duration, names ...string) (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(now.UnixNano()),
		Subject:               pkix.Name{CommonName: "wechattest"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(life),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA:                  true,
		BasicConstraintsValid: true,
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		DNSNames:              names,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}
