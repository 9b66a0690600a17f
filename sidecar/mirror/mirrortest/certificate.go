//go:build unix

package mirrortest

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// Certificate returns the path of the server's self-signed certificate for 127.0.0.1.
func (s *Server) Certificate() string { return s.file("server.pem") }

// certify writes the certificate and its key.
func (s *Server) certify() error {
	certificate, certPEM, err := wechattest.SelfSigned(24 * time.Hour)
	if err != nil {
		return err
	}
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.file("server.pem"), certPEM, 0o600); err != nil {
		return err
	}
	return os.WriteFile(s.file("server.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600)
}
