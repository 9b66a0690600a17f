package wechat

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
)

// Reach is how a host of [Config.BaseURLs] was reached.
type Reach struct {
	Host string
	// Proxy is the host of the proxy; empty if there is none.
	Proxy string
	// Addresses are those of Host, or of Proxy.
	Addresses []string
	// Issuer signed the host's certificate; empty for http.
	Issuer string
	// Ahead is how far this machine's clock is ahead of the host's, to about a second; 0 if
	// the host sent no time.
	Ahead time.Duration
	// Err is why the host was not reached; nil if it was. Any HTTP answer is one.
	Err *Error
}

// Reach connects to each host without an AppSecret, all at the same time: DNS, proxy, TLS,
// and one HTTP request.
func (c *Client) Reach(ctx context.Context) []Reach {
	all := make([]Reach, len(c.bases))
	var running sync.WaitGroup
	for i, base := range c.bases {
		running.Go(func() { all[i] = c.reach(ctx, base) })
	}
	running.Wait()
	return all
}

func (c *Client) reach(ctx context.Context, base *url.URL) Reach {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	r := Reach{Host: base.Host}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{DNSDone: func(done httptrace.DNSDoneInfo) {
		for _, one := range done.Addrs {
			r.Addresses = append(r.Addresses, one.String())
		}
	}})
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, base.String(), nil)
	if err != nil {
		r.Err = defect("the request to " + base.Host + " cannot be built") // err can quote the URL
		return r
	}
	req.Header.Set("User-Agent", "wxsidecar")
	if proxy, err := proxyFor(req); err == nil && proxy != nil {
		r.Proxy = proxy.Host
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		r.Err = unsent(base.Host, base.Host+": "+redactor{}.message(reason(err)))
		if refused := new(tls.CertificateVerificationError); errors.As(err, &refused) {
			r.Err.Hint = hint.Certificate(base.Host)
		}
		return r
	}
	_ = resp.Body.Close() // HEAD has none
	if resp.TLS != nil && len(resp.TLS.PeerCertificates) > 0 {
		r.Issuer = bounded(resp.TLS.PeerCertificates[0].Issuer.String(), 200)
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		r.Ahead = time.Since(date).Truncate(time.Second)
	}
	return r
}
