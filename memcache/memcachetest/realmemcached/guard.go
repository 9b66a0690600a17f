package realmemcached

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Guard has the files of a memcached that demands TLS and a password. The memcached and
// its clients can use the same files:
//
//	guard := realmemcached.NewGuard(t)
//	m := realmemcached.StartGuarded(t, guard.Args()...)
//	store, err := memcache.New(memcache.Config{Servers: []string{m.Address}, Security: …})
type Guard struct {
	CAFile   string // a certificate for 127.0.0.1, which signs itself
	AuthFile string // Users
	keyFile  string
}

// Users is the first content of a Guard's AuthFile.
const Users = "user:canarysecret-1\n"

// NewGuard writes the files, which memcached's user can read.
func NewGuard(t *testing.T) *Guard {
	t.Helper()
	folder := t.TempDir()
	if err := os.Chmod(filepath.Dir(folder), 0o755); err != nil { //nolint:gosec // memcached's user is another one
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(folder, name) }
	g := &Guard{CAFile: at("ca.pem"), AuthFile: at("users"), keyFile: at("key.pem")}
	Write(t, g.AuthFile, []byte(Users))
	g.NewCertificate(t, net.IPv4(127, 0, 0, 1), time.Hour)
	return g
}

// NewCertificate replaces the certificate by one for this address, which lives so long. A
// life below 0 is over. It is valid since 1970, and so in the virtual time of synctest.
func (g *Guard) NewCertificate(t *testing.T, address net.IP, life time.Duration) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), NotBefore: time.Unix(0, 0), NotAfter: now.Add(life), IPAddresses: []net.IP{address},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	Write(t, g.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))
	Write(t, g.keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

// Certificate returns the certificate with its key, for a server in the process.
func (g *Guard) Certificate(t *testing.T) tls.Certificate {
	t.Helper()
	certificate, err := tls.LoadX509KeyPair(g.CAFile, g.keyFile)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// Args are the arguments for a memcached that demands both.
func (g *Guard) Args() []string { return append(g.TLS(), g.Password()...) }

// TLS are the arguments for a memcached that demands TLS, with more options for -o.
func (g *Guard) TLS(options ...string) []string {
	all := "ssl_chain_cert=" + g.CAFile + ",ssl_key=" + g.keyFile
	for _, one := range options {
		all += "," + one
	}
	return []string{"-Z", "-o", all}
}

// Password are the arguments for a memcached that demands a password.
func (g *Guard) Password() []string { return []string{"-Y", g.AuthFile} }

// Write writes a file that memcached's user can read.
func Write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o644); err != nil { //nolint:gosec // see above
		t.Fatal(err)
	}
}
