//go:build cluster

package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// counts has the fake WeChat's counters: see fakewechat/control.go.
type counts struct {
	Requests, Stable, Refused, Issues, External int
	Issued                                      []struct {
		At                      time.Time
		AppID, API, Fingerprint string
	}
	Readers map[string]books
}

// books has a reader's counters: see fakewechat/books.go.
type books struct {
	Name          string
	Ended         bool
	Reads         int
	FromMemcached int `json:"from_memcached"`
	FromSidecar   int `json:"from_sidecar"`
	Failed        int
	Invalid       int
	Unjudged      int
	Tokens        int
	Bearers       int
	LongestMS     int    `json:"longest_ms"`
	LastError     string `json:"last_error"`
	Last          string
	Entry         struct {
		There  bool
		Gaps   int
		LostAt time.Time `json:"lost_at"`
		BackAt time.Time `json:"back_at"`
	}
}

// withWeChat starts a fake WeChat with the account, and creates the Secret with its
// AppSecret. Tokens are valid for life; 0 means WeChat's two hours.
func (s *space) withWeChat(t *testing.T, life time.Duration) {
	t.Helper()
	authority, certificate, key := certify(t, "fakewechat", "fakewechat."+s.name+".svc")
	s.apply(t,
		namedObject("v1", "ConfigMap", "wechat-ca", object{"data": object{"ca.crt": authority}}),
		namedObject("v1", "Secret", "fakewechat", object{
			"type": "kubernetes.io/tls", "stringData": object{"tls.crt": certificate, "tls.key": key},
		}))
	manifest, err := os.ReadFile("testdata/fakewechat.yaml")
	require.NoError(t, err)
	s.feed(t, string(manifest), "apply", "-f", "-")
	s.rolledOut(t, "fakewechat")
	if life > 0 {
		s.post(t, "expires_in", object{"seconds": int(life / time.Second)})
	}
	s.secret = "canary" + "secret-of-" + s.name
	s.post(t, "account", object{"appid": appID, "secret": s.secret})
	s.keepAccounts(t, map[string]string{appID: s.secret})
}

// keepAccounts creates the Secret that the sidecars read.
func (s *space) keepAccounts(t *testing.T, accounts map[string]string) {
	t.Helper()
	s.apply(t, namedObject("v1", "Secret", "wechat-accounts", object{"stringData": accounts}))
}

// post posts to a control route of the fake, through the API server.
func (s *space) post(t *testing.T, route string, body object) {
	t.Helper()
	text, err := json.Marshal(body)
	require.NoError(t, err)
	s.feed(t, string(text), "create", "--raw", s.control(route), "-f", "-")
}

func (s *space) control(route string) string {
	return "/api/v1/namespaces/" + s.name + "/services/fakewechat:control/proxy/" + route
}

// counts returns the fake's counters.
func (s *space) counts(t *testing.T) counts {
	t.Helper()
	var c counts
	require.NoError(t, json.Unmarshal([]byte(s.kubectl(t, "get", "--raw", s.control("counts"))), &c))
	return c
}

// reader returns the counters of the reader in that pod since its last restart.
func (c counts) reader(pod string) books {
	var last books
	for name, b := range c.Readers {
		if strings.HasPrefix(name, pod+"@") && name > last.Name {
			last = b
		}
	}
	return last
}

// sum returns the counters of all readers together, past ones included.
func (c counts) sum() books {
	var all books
	for _, b := range c.Readers {
		all.Reads += b.Reads
		all.FromMemcached += b.FromMemcached
		all.FromSidecar += b.FromSidecar
		all.Failed += b.Failed
		all.Invalid += b.Invalid
		all.Unjudged += b.Unjudged
		all.LongestMS = max(all.LongestMS, b.LongestMS)
	}
	return all
}

// flawless says that no read failed and none brought an invalid token.
func (c counts) flawless(t *testing.T) {
	t.Helper()
	for name, b := range c.Readers {
		assert.Zero(t, b.Failed, "reads of %s that failed; the last: %s", name, b.LastError)
		assert.Zero(t, b.Invalid, "invalid tokens read by %s; the last: %s", name, b.LastError)
		assert.Zero(t, b.Unjudged, "tokens of %s that the fake did not judge", name)
	}
	assert.Zero(t, c.External)
}

// String is the figures for people.
func (b books) String() string {
	return fmt.Sprintf("%d reads (%d from memcached, %d from a sidecar), %d failed, %d invalid, longest %d ms",
		b.Reads, b.FromMemcached, b.FromSidecar, b.Failed, b.Invalid, b.LongestMS)
}

// readOn waits until every reader that has not ended has read so many times more.
func (s *space) readOn(t *testing.T, more int) counts {
	t.Helper()
	before := s.counts(t)
	var now counts
	poll(t, time.Minute, "the readers read on", func() (bool, string) {
		now = s.counts(t)
		for name, b := range now.Readers {
			if !b.Ended && b.Reads < before.Readers[name].Reads+more {
				return false, fmt.Sprintf("%s: %s", name, b)
			}
		}
		return len(now.Readers) > 0, "no reader has reported its counters"
	})
	return now
}

// certify makes an authority and a certificate of it for these names, as PEM.
func certify(t *testing.T, names ...string) (authority, certificate, key string) {
	t.Helper()
	now := time.Now()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "wxsidecar end-to-end"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	require.NoError(t, err)
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, &leafKey.PublicKey, caKey)
	require.NoError(t, err)
	keyDER, err := x509.MarshalECPrivateKey(leafKey)
	require.NoError(t, err)
	text := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return text("CERTIFICATE", caDER), text("CERTIFICATE", leafDER), text("EC PRIVATE KEY", keyDER)
}
