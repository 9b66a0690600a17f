package wechat

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// CheckProxy returns an error for a value of HTTPS_PROXY that net/http cannot use. It
// would ignore the value, and send requests without a proxy. The error does not quote
// the value, which can contain a password.
func CheckProxy(value string) error {
	u, err := url.Parse(value)
	if err != nil || u.Scheme == "" || u.Host == "" { // as net/http does: proxy:3128
		u, err = url.Parse("http://" + value)
	}
	if err != nil {
		return errors.New("not the URL of a proxy")
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
	default:
		return errors.New("a proxy of an unknown kind")
	}
	switch host := u.Hostname(); {
	case host == "" || strings.ContainsFunc(host, func(c rune) bool { return c <= ' ' || c >= 0x7f }):
		return errors.New("no host, or one with a space or a character that is not ASCII")
	case strings.HasSuffix(u.Host, ":") || u.Port() != "" && !isPort(u.Port()):
		return errors.New("the port is not a number from 1 to 65535")
	}
	return nil
}

// proxyFor returns the proxy for a request. Plain http is for loopback, whatever its
// spelling, and never goes through one.
func proxyFor(r *http.Request) (*url.URL, error) {
	if r.URL.Scheme != "https" {
		return nil, nil //nolint:nilnil // it means no proxy
	}
	return http.ProxyFromEnvironment(r)
}
