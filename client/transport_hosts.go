package client

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

// hosts decides which requests get the token.
type hosts struct {
	more map[string]bool // Config.WeChatHosts: host, or host:port
}

func newHosts(more []string) hosts {
	h := hosts{more: map[string]bool{}}
	for _, host := range more {
		h.more[strings.ToLower(host)] = true
	}
	return h
}

// wants reports whether req gets the token. It goes to WeChat's API, and has no
// access_token of its own (a user's, from sns/oauth2, or another account's).
func (h hosts) wants(req *http.Request) bool {
	return h.trusted(req.URL) && !otherCredential(req.URL.Path) && !req.URL.Query().Has("access_token")
}

// trusted reports whether u may receive the token. WeChat's hosts are
// api.weixin.qq.com, those below it (sh., sz., hk., file.) and api2.weixin.qq.com.
// mp.weixin.qq.com serves pages and pictures and takes no access_token.
func (h hosts) trusted(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	named := h.more[host] || h.more[strings.ToLower(u.Host)]
	switch u.Scheme {
	case "https":
		return named || host == "api.weixin.qq.com" || host == "api2.weixin.qq.com" || strings.HasSuffix(host, ".api.weixin.qq.com")
	case "http":
		return named && loopback(host)
	}
	return false
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// otherCredential reports whether this path needs another credential: an AppSecret, a
// user's token or a platform's. A 40001 there says nothing about the account's token.
func otherCredential(path string) bool {
	switch path {
	case "/cgi-bin/token", "/cgi-bin/stable_token", "/cgi-bin/clear_quota/v2":
		return true
	}
	return strings.HasPrefix(path, "/sns/") || strings.HasPrefix(path, "/cgi-bin/component/")
}
