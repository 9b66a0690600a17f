package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"time"
)

// host is WeChat's name, which the pods' hosts file resolves.
const host = "wechat.test"

// certificates are what WeChat may show.
type certificates struct {
	authority []byte // what the sidecars trust, as PEM

	good, expired, misnamed, untrusted *tls.Certificate
}

func newCertificates() (c certificates, err error) {
	now := time.Now()
	root, c0, err := certify(nil, host, now.Add(-time.Hour), now.Add(24*time.Hour))
	if err != nil {
		return c, err
	}
	c.authority = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c0.Certificate[0]})
	for _, one := range []struct {
		to     **tls.Certificate
		issuer *issuer
		name   string
		ends   time.Time
	}{
		{&c.good, root, host, now.Add(24 * time.Hour)},
		{&c.expired, root, host, now.Add(-time.Minute)},
		{&c.misnamed, root, "other." + host, now.Add(24 * time.Hour)},
		{&c.untrusted, nil, host, now.Add(24 * time.Hour)}, // signs itself
	} {
		if _, *one.to, err = certify(one.issuer, one.name, now.Add(-time.Hour), one.ends); err != nil {
			return c, err
		}
	}
	return c, nil
}

// issuer signs.
type issuer struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// certify makes a certificate, its own issuer where by is nil.
func certify(by *issuer, name string, from, to time.Time) (*issuer, *tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: from, NotAfter: to,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA:        by == nil, BasicConstraintsValid: true,
	}
	self := &issuer{template, key}
	if by == nil {
		by = self
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.certificate, &key.PublicKey, by.key)
	if err != nil {
		return nil, nil, err
	}
	return self, &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
