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

// ListenTLS serves https on a free port of 127.0.0.1 with a self-signed certificate. It
// is also valid for localhost, wechat.test, api.weixin.qq.com and api2.weixin.qq.com.
// Clients must trust certPEM, for example with SSL_CERT_FILE. stop ends all requests,
// and waits for them.
func (s *Server) ListenTLS() (url string, certPEM []byte, stop func(), err error) {
	return s.ListenTLSThrough(s)
}

// ListenTLSThrough is [Server.ListenTLS] with a handler in front of the server. The
// handler gets the requests to this listener only.
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

// servingKey is the key of the listener's context in a request's context. It outlives
// the client.
type servingKey struct{}

func whileServing(ctx context.Context) context.Context {
	if serving, ok := ctx.Value(servingKey{}).(context.Context); ok {
		return serving
	}
	return context.WithoutCancel(ctx)
}

// serve serves a listener until stop, which waits for all goroutines.
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

// SelfSigned returns a self-signed certificate for 127.0.0.1 and these names, and the
// same certificate as PEM. With a negative life it is an expired one.
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
