package client

import (
	"net"
	"net/http"
	"net/url"
	"regexp"
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

// wants reports whether req gets the token. It goes to WeChat's API, and has no other
// credential (a user's token from sns/oauth2, a platform's, or another account's).
func (h hosts) wants(req *http.Request) bool {
	return h.trusted(req.URL) && !otherCredential(req.URL)
}

var (
	// authority is a host that no two parsers read differently, with its port. Other
	// characters can become letters (fullwidth ones), or belong to a zone.
	authority = regexp.MustCompile(`^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?$`)
	// wechatHost matches WeChat's hosts: api.weixin.qq.com, those below it (sh., sz., hk.,
	// file.) and api2.weixin.qq.com. mp.weixin.qq.com serves pages and takes no token.
	wechatHost = regexp.MustCompile(`^(?:(?:[a-z0-9.-]+\.)?api|api2)\.weixin\.qq\.com$`)
)

// trusted reports whether u may receive the token.
func (h hosts) trusted(u *url.URL) bool {
	part := authority.FindStringSubmatch(u.Host)
	if part == nil {
		return false
	}
	host, port := strings.ToLower(part[1]), part[2]
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	named := h.more[host] || h.more[host+":"+port]
	switch u.Scheme {
	case "https":
		return named || wechatHost.MatchString(host)
	case "http":
		return named && loopback(host)
	}
	return false
}

func loopback(host string) bool {
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// otherCredential reports whether u has or needs another credential: an access_token of
// its own, a platform's or a cloud environment's, or an AppSecret or a user's token. A
// 40001 there says nothing about the account's token.
func otherCredential(u *url.URL) bool {
	// url.ParseQuery drops a pair with a semicolon or an invalid escape.
	for pair := range strings.FieldsFuncSeq(u.RawQuery, func(r rune) bool { return r == '&' || r == ';' }) {
		name, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		if strings.HasSuffix(name, "access_token") {
			return true
		}
	}
	switch u.Path {
	case "/cgi-bin/token", "/cgi-bin/stable_token", "/cgi-bin/clear_quota/v2":
		return true
	}
	return strings.HasPrefix(u.Path, "/sns/") || strings.HasPrefix(u.Path, "/cgi-bin/component/")
}
