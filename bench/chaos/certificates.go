package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"time"
)

// host is WeChat's name. The pods' hosts file resolves it.
const host = "wechat.test"

// newCertificates returns what WeChat can show, and the authority that the sidecars
// trust, as PEM.
func newCertificates() (shown map[string]*tls.Certificate, authority []byte, err error) {
	const day = 24 * time.Hour
	root, err := certify(nil, host, day)
	if err != nil {
		return nil, nil, err
	}
	var errs [4]error
	shown = map[string]*tls.Certificate{}
	shown["good"], errs[0] = certify(root, host, day)
	shown["expired"], errs[1] = certify(root, host, -time.Minute)
	shown["misnamed"], errs[2] = certify(root, "other."+host, day)
	shown["untrusted"], errs[3] = certify(nil, host, day)
	return shown, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate[0]}), errors.Join(errs[:]...)
}

// certify makes a certificate that expires in so long. It is its own authority if by
// is nil.
func certify(by *tls.Certificate, name string, expires time.Duration) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	own := &tls.Certificate{PrivateKey: key, Leaf: &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(expires),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA:        by == nil, BasicConstraintsValid: true,
	}}
	if by == nil {
		by = own
	}
	der, err := x509.CreateCertificate(rand.Reader, own.Leaf, by.Leaf, &key.PublicKey, by.PrivateKey)
	own.Certificate = [][]byte{der}
	return own, err
}
