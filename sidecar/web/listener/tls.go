package listener

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/smallfile"
)

const (
	// maxPEM is the longest file of a certificate or a key, in bytes.
	maxPEM = 64 << 10
	// handshakeTimeout is how long the answers of a TLS handshake can wait for a client
	// that does not read. net/http bounds how long it waits for the client's part.
	handshakeTimeout = 5 * time.Second
	// plainAnswer is for a client that speaks plain http.
	plainAnswer = "HTTP/1.0 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" +
		`{"errcode":400,"errmsg":"this sidecar speaks https only","hint":"write https:// in SIDECAR_URL or SIDECAR_UPSTREAM"}` + "\n"
)

// Certificate is a certificate and its key in two files. It is safe for concurrent use.
type Certificate struct {
	*smallfile.Reread[*tls.Certificate]
}

// NewCertificate reads the files. It reads them again for a handshake after they changed.
func NewCertificate(certFile, keyFile string, log *slog.Logger) (*Certificate, error) {
	load := func() (*tls.Certificate, []smallfile.Version, error) {
		pair, versions, ofCert, ofKey := loadPair(certFile, keyFile)
		return pair, versions, errors.Join(of("SIDECAR_TLS_CERT_FILE", ofCert), of("SIDECAR_TLS_KEY_FILE", ofKey))
	}
	same := func(a, b *tls.Certificate) bool {
		return slices.EqualFunc(a.Certificate, b.Certificate, slices.Equal[[]byte])
	}
	r, err := smallfile.NewReread(load, same, func(pair *tls.Certificate, err error) {
		if err != nil {
			log.Error("certificate unreadable, the last one stays in use", "error", err.Error(),
				"hint", "check SIDECAR_TLS_CERT_FILE and SIDECAR_TLS_KEY_FILE")
			return
		}
		log.Info("certificate read again", "expires", pair.Leaf.NotAfter.UTC())
	})
	if err != nil {
		return nil, err
	}
	return &Certificate{r}, nil
}

// of returns an error about a variable, or nil.
func of(variable string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", variable, err)
}

// CheckCertificate returns what is wrong with the file of the certificate, and with that of
// its key. The errors quote neither content nor path.
func CheckCertificate(certFile, keyFile string) (ofCert, ofKey error) {
	_, _, ofCert, ofKey = loadPair(certFile, keyFile)
	return ofCert, ofKey
}

var errNoCertificate = errors.New("the file has no certificate in PEM")

func loadPair(certFile, keyFile string) (pair *tls.Certificate, versions []smallfile.Version, ofCert, ofKey error) {
	cert, certVersion, ofCert := smallfile.ReadVersion(certFile, maxPEM)
	key, keyVersion, ofKey := smallfile.ReadVersion(keyFile, maxPEM)
	if ofCert == nil && !hasCertificate(cert) {
		ofCert = errNoCertificate
	}
	if ofCert != nil || ofKey != nil {
		return nil, nil, ofCert, ofKey
	}
	both, err := tls.X509KeyPair(cert, key)
	if err != nil { // it can quote the key's type alone
		return nil, nil, nil, errors.New("the file has no private key in PEM that belongs to the certificate")
	}
	return &both, []smallfile.Version{certVersion, keyVersion}, nil, nil
}

// ToSelf returns how a program beside a listener with this certificate reaches it: by a name
// in the certificate, which is rarely for a loopback address.
func ToSelf(certFile string) (*tls.Config, error) {
	text, _, err := smallfile.Read(certFile, maxPEM)
	if err == nil && !hasCertificate(text) {
		err = errNoCertificate
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	first, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	names := slices.Clone(first.DNSNames)
	for _, address := range first.IPAddresses {
		names = append(names, address.String())
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	config.RootCAs.AppendCertsFromPEM(text) // the certificate itself is enough
	if len(names) > 0 {
		config.ServerName = names[0]
	}
	return config, nil
}

// hasCertificate reports whether the first block of a PEM file is a certificate.
func hasCertificate(text []byte) bool {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return false
	}
	_, err := x509.ParseCertificate(block.Bytes)
	return err == nil
}

// Listen returns a listener whose connections speak TLS over those of l.
func (c *Certificate) Listen(l net.Listener) net.Listener {
	return tlsListener{l, &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.Current(), nil },
	}}
}

// tlsListener is not tls.NewListener: the limits of boundedListener need its reads to be
// those of net/http, so they are outside of TLS.
type tlsListener struct {
	net.Listener
	config *tls.Config
}

// Accept implements net.Listener. The handshake begins at the first read.
func (l tlsListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	_ = conn.SetWriteDeadline(time.Now().Add(handshakeTimeout)) // net/http sets one for each answer
	return tlsConn{tls.Server(conn, l.config)}, nil
}

// tlsConn answers a client that speaks plain http.
type tlsConn struct{ *tls.Conn }

// Read implements net.Conn.
func (c tlsConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	var record tls.RecordHeaderError
	if errors.As(err, &record) && record.Conn != nil && slices.Contains([]string{"GET /", "HEAD ", "POST "}, string(record.RecordHeader[:])) {
		_, _ = io.WriteString(record.Conn, plainAnswer) // if it fails, nobody reads
	}
	return n, err
}
