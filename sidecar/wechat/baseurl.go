package wechat

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// DefaultBaseURL is WeChat's main address.
const DefaultBaseURL = "https://api.weixin.qq.com"

// CheckBaseURL returns an error for an address to which no AppSecret should be sent. It
// must be https://host[:port][/path], or http:// to loopback, without user, query and
// fragment. The error quotes no user, password or query.
func CheckBaseURL(s string) error {
	_, err := parseBaseURL(s)
	return err
}

func parseBaseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		// url.Error quotes the whole address, which can contain a password.
		return nil, errors.New("not a URL; write it like " + DefaultBaseURL)
	}
	switch host := u.Hostname(); {
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("not an https URL; write it like " + DefaultBaseURL)
	case u.User != nil:
		return nil, errors.New("user or password in the URL; leave them out")
	case strings.ContainsAny(s, "?#"):
		return nil, errors.New("query or fragment in the URL; leave out everything from ? or # on")
	case u.Opaque != "" || host == "":
		return nil, errors.New("no host in the URL; write it like " + DefaultBaseURL)
	case strings.ContainsFunc(host, unprintable):
		return nil, errors.New("bad host in the URL; write it like " + DefaultBaseURL)
	case strings.HasSuffix(u.Host, ":") || u.Port() != "" && !isPort(u.Port()):
		return nil, errors.New("bad port in the URL; use a number from 1 to 65535")
	case u.Scheme == "http" && !isLoopback(host):
		return nil, fmt.Errorf("plain http to %s would show the AppSecret to the network; use https (http is for loopback only)", bounded(host, 64))
	}
	return u, nil
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
