package programtest

import (
	"crypto/x509"
	"encoding/pem"
	"path/filepath"
	"testing"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// WritePair writes a new certificate for 127.0.0.1 and these names, and its key. The
// certificate is its own CA. The files are tls.crt and tls.key, as in a Secret of
// Kubernetes.
func WritePair(t *testing.T, folder string, names ...string) (certFile, keyFile string) {
	t.Helper()
	pair, certPEM, err := wechattest.SelfSigned(time.Hour, names...)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	return WriteFile(t, filepath.Join(folder, "tls.crt"), string(certPEM)), WriteFile(t, filepath.Join(folder, "tls.key"), string(keyPEM))
}
