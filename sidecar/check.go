package main

import (
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/ring"
	"github.com/wxsidecar/wxsidecar/sidecar/bearerfile"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/smallfile"
	"github.com/wxsidecar/wxsidecar/sidecar/web"
	"github.com/wxsidecar/wxsidecar/sidecar/web/listener"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

const (
	// maxWeChatTimeout is the limit of all requests of one renewal together.
	maxWeChatTimeout = 10 * time.Second
	// maxMemcachedTimeout leaves time for the operations of a renewal: the lease
	// reserves 4 s for them.
	maxMemcachedTimeout = 2 * time.Second
)

// check finds wrong values and wrong combinations.
func (c *config) check(found *problems) {
	switch {
	case c.hasUpstream():
		c.checkUpstream(found)
	case !found.has("SIDECAR_UPSTREAM"): // an empty list may have been meant as one
		c.checkAccounts(found)
	}
	c.checkWeChat(found)
	c.checkTickets(found)
	c.checkMemcached(found)
	c.checkListeners(found)
	c.checkMirrors(found)
	if _, ok := logLevels[c.LogLevel]; !ok {
		found.add("LOG_LEVEL", "unknown level", "use debug, info, warn or error")
	}
	if c.LogFormat != "json" && c.LogFormat != "text" {
		found.add("LOG_FORMAT", "unknown format", "use json or text")
	}
}

func (c *config) checkAccounts(found *problems) {
	if c.UpstreamFile != "" {
		found.add("SIDECAR_UPSTREAM_TOKEN_FILE", "SIDECAR_UPSTREAM is not set", "set it, or remove this variable")
	}
	if c.AppID == "" && c.AccountsDir == "" {
		found.add("WECHAT_APPID", "no account configured", "set it, or WECHAT_ACCOUNTS_DIR for many accounts")
	}
	if what := notAppID(c.AppID); c.AppID != "" && what != (hint.Hint{}) {
		remedy := "use the AppID, such as wx0123456789abcdef"
		if what == hint.IsAppSecret {
			remedy = "WECHAT_APPID and WECHAT_APPSECRET: " + swapped
		}
		found.add("WECHAT_APPID", "the value is wrong: "+what.English, remedy)
	}
	switch {
	case c.AppSecret != "" && c.AppSecretFile != "":
		found.add("WECHAT_APPSECRET", "WECHAT_APPSECRET_FILE is set too", "set one of the two; a file can be rotated without a restart")
	case c.AppID != "" && c.AppSecret == "" && c.AppSecretFile == "":
		found.add("WECHAT_APPSECRET", "missing for WECHAT_APPID", "set it, or WECHAT_APPSECRET_FILE")
	case c.AppID == "" && c.AppSecret != "":
		found.add("WECHAT_APPSECRET", "WECHAT_APPID is not set", "set WECHAT_APPID, or remove this variable")
	case c.AppID == "" && c.AppSecretFile != "":
		found.add("WECHAT_APPSECRET_FILE", "WECHAT_APPID is not set", "set WECHAT_APPID, or remove this variable")
	}
	if c.AppSecret != "" {
		if _, err := cleanSecret(string(c.AppSecret)); err != nil {
			found.add("WECHAT_APPSECRET", err.Error(), "copy it again from the account's console")
		}
	}
	if c.AppSecretFile != "" {
		if _, err := readSecret(c.AppSecretFile); err != nil {
			found.add("WECHAT_APPSECRET_FILE", err.Error(), "use a file with the AppSecret and nothing else")
		}
	}
	if c.AccountsDir == "" {
		return
	}
	if _, err := os.ReadDir(c.AccountsDir); err != nil {
		found.add("WECHAT_ACCOUNTS_DIR", "the folder is unreadable: "+smallfile.WithoutPath(err).Error(), "use a folder with one file per account; check that the Secret is mounted and readable for this user")
	} else if memcache.ValidAppID(c.AppID) {
		if _, err := os.Stat(filepath.Join(c.AccountsDir, c.AppID)); err == nil {
			found.add("WECHAT_ACCOUNTS_DIR", "the folder has a file for the account of WECHAT_APPID too", "configure each account once: remove that file, or WECHAT_APPID and its AppSecret")
		}
	}
}

func (c *config) checkWeChat(found *problems) {
	if api := wechat.API(c.TokenAPI); api != wechat.Token && api != wechat.StableToken {
		found.add("WECHAT_TOKEN_API", "unknown API", "use token or stable_token")
	}
	for i, base := range c.BaseURLs {
		if err := wechat.CheckBaseURL(base); err != nil {
			found.add("WECHAT_BASE_URL", fmt.Sprintf("address %d: %s", i+1, err), "") // err has a hint
		}
	}
	c.checkTimeout(found, "WECHAT_TIMEOUT", c.WeChatTimeout, maxWeChatTimeout)
}

// localWeChat reports whether all of WECHAT_BASE_URL is loopback: a fake WeChat.
func (c *config) localWeChat() bool {
	return !slices.ContainsFunc(c.BaseURLs, func(base string) bool {
		u, err := url.Parse(base)
		return err != nil || !listener.IsLoopback(u.Hostname())
	})
}

func (c *config) checkTickets(found *problems) {
	for i, text := range c.Tickets {
		wanted, err := parseTicket(text)
		switch {
		case err != nil:
			found.add("WECHAT_TICKETS", fmt.Sprintf("ticket %d: %s", i+1, err), "use jsapi or wx_card for all accounts, wx0123456789abcdef:jsapi for one")
		case wanted.appID != "" && c.AccountsDir == "" && !slices.Contains(c.appIDs(), wanted.appID):
			found.add("WECHAT_TICKETS", fmt.Sprintf("ticket %d: the account is not WECHAT_APPID", i+1), "use the AppID of WECHAT_APPID, or no AppID")
		}
	}
}

func (c *config) checkMemcached(found *problems) {
	for i, server := range c.Servers {
		if server == off && len(c.Servers) > 1 {
			found.add("MEMCACHED_SERVERS", fmt.Sprintf("server %d: off cannot be together with servers", i+1), "remove off, or remove the servers")
			continue
		}
		if server == off {
			if !c.hasUpstream() {
				found.add("MEMCACHED_SERVERS", "off is for a sidecar with SIDECAR_UPSTREAM", "name memcached, or set SIDECAR_UPSTREAM")
			}
			continue
		}
		if !validServer(server) {
			found.add("MEMCACHED_SERVERS", fmt.Sprintf("server %d: neither host:port nor /path/to.sock", i+1), "write it like memcached:11211")
		} else if slices.Contains(c.Servers[:i], server) {
			found.add("MEMCACHED_SERVERS", fmt.Sprintf("server %d: listed twice", i+1), "list every server once")
		}
	}
	if ring.Check(ring.Hash(c.Hash)) != nil {
		found.add("MEMCACHED_HASH", "unknown hash", "use ketama, php-memcached, php-memcache-consistent or php-memcache-standard")
	}
	if memcache.CheckPrefix(c.KeyPrefix) != nil {
		found.add("MEMCACHED_KEY_PREFIX", "the prefix has a space or a control character, or is too long", "use at most 120 bytes, such as prod:")
	}
	c.checkTimeout(found, "MEMCACHED_TIMEOUT", c.MemcachedTimeout, maxMemcachedTimeout)
	security := c.security()
	security.TLS = security.TLS || found.has("MEMCACHED_TLS") // else a wrong value of it makes the CA's file wrong too
	ofTLS, ofCAFile, ofAuthFile := security.Check(c.Servers)
	for variable, err := range map[string]error{"MEMCACHED_TLS": ofTLS, "MEMCACHED_CA_FILE": ofCAFile, "MEMCACHED_AUTH_FILE": ofAuthFile} {
		if err != nil && !found.has(variable) {
			found.add(variable, err.Error(), "") // err has a hint
		}
	}
}

// security returns how the connections to memcached are protected.
func (c *config) security() memcache.Security {
	return memcache.Security{TLS: c.MemcachedTLS, CAFile: c.MemcachedCAFile, AuthFile: c.MemcachedAuthFile}
}

// warnOfMemcached warns of a password that crosses a network without TLS.
func (c *config) warnOfMemcached(found *problems) {
	if c.MemcachedAuthFile == "" || c.MemcachedTLS {
		return
	}
	for _, server := range c.Servers {
		host, _, err := net.SplitHostPort(server)
		if err == nil && !listener.IsLoopback(host) {
			found.add("MEMCACHED_AUTH_FILE", "MEMCACHED_SERVERS is beyond loopback, and MEMCACHED_TLS is not set: the password crosses the network in plain text",
				"run memcached with -Z and set MEMCACHED_TLS=true, or keep the network private")
			return
		}
	}
}

// validServer is memcache.CheckServer and also refuses URLs.
func validServer(server string) bool {
	return memcache.CheckServer(server) == nil && (strings.HasPrefix(server, "/") || !strings.ContainsAny(server, "/@ "))
}

func (c *config) checkTimeout(found *problems, name string, d, longest time.Duration) {
	if !found.has(name) && (d <= 0 || d > longest) {
		found.add(name, fmt.Sprintf("out of range: must be above 0 and at most %s", longest), "leave it unset for the default")
	}
}

func (c *config) checkListeners(found *problems) {
	if listener.CheckAddress(c.Listen) != nil {
		found.add("SIDECAR_LISTEN", "the value is not an address", "use host:port or unix:///path, such as 127.0.0.1:7200")
	} else if !listener.IsLocal(c.Listen) && c.AuthTokenFile == "" {
		found.add("SIDECAR_AUTH_TOKEN_FILE", "missing, although SIDECAR_LISTEN is reachable from other machines", "use a file with a bearer token, or listen on 127.0.0.1:7200")
	}
	c.checkBearers(found)
	c.checkTLS(found)
	for i, name := range c.OpsHosts {
		if !web.CheckOpsHost(name) {
			found.add("SIDECAR_OPS_HOSTS", fmt.Sprintf("name %d: not a host name", i+1), "write names without port and scheme, such as status.example.com")
		}
	}
	switch {
	case c.OpsListen == off:
	case listener.CheckAddress(c.OpsListen) != nil:
		found.add("SIDECAR_OPS_LISTEN", "the value is not an address", "use host:port or unix:///path, such as :7201, or off")
	case !found.has("SIDECAR_LISTEN") && sameAddress(c.Listen, c.OpsListen):
		found.add("SIDECAR_OPS_LISTEN", "the address equals SIDECAR_LISTEN", "use another port: the two listeners need different addresses")
	}
}

func (c *config) checkBearers(found *problems) {
	tokens := checkBearer(found, "SIDECAR_AUTH_TOKEN_FILE", c.AuthTokenFile)
	readers := checkBearer(found, "SIDECAR_READER_TOKEN_FILE", c.ReaderFile)
	if c.hasUpstream() { // it is the upstream's
		return
	}
	if c.ReaderFile != "" && c.AuthTokenFile == "" && !found.has("SIDECAR_AUTH_TOKEN_FILE") {
		found.add("SIDECAR_AUTH_TOKEN_FILE", "missing, although SIDECAR_READER_TOKEN_FILE is set", "set both: without it, callers without a token may do more than readers")
	}
	if slices.ContainsFunc(readers, func(token string) bool { return slices.Contains(tokens, token) }) {
		found.add("SIDECAR_READER_TOKEN_FILE", "a token is in SIDECAR_AUTH_TOKEN_FILE too", "use different tokens: the reader's may read and do nothing else")
	}
}

// checkBearer returns the bearer tokens of a file; none if path is empty.
func checkBearer(found *problems, variable, path string) []string {
	if path == "" {
		return nil
	}
	tokens, _, err := bearerfile.Read(path)
	if err != nil {
		found.add(variable, err.Error(), "use a file with the bearer token and nothing else, "+
			"such as the output of openssl rand -hex 32; a second line is for a rotation")
	}
	return tokens
}

func (c *config) checkTLS(found *problems) {
	switch {
	case c.TLSCertFile == "" && c.TLSKeyFile == "":
	case c.TLSCertFile == "":
		found.add("SIDECAR_TLS_CERT_FILE", "missing, although SIDECAR_TLS_KEY_FILE is set", "set both, or neither")
	case c.TLSKeyFile == "":
		found.add("SIDECAR_TLS_KEY_FILE", "missing, although SIDECAR_TLS_CERT_FILE is set", "set both, or neither")
	case strings.HasPrefix(c.Listen, "unix://"):
		found.add("SIDECAR_TLS_CERT_FILE", "SIDECAR_LISTEN is a unix socket", "unset it and SIDECAR_TLS_KEY_FILE: TLS is for host:port")
	default:
		ofCert, ofKey := listener.CheckCertificate(c.TLSCertFile, c.TLSKeyFile)
		if ofCert != nil {
			found.add("SIDECAR_TLS_CERT_FILE", ofCert.Error(), "use the file tls.crt of a Secret of type kubernetes.io/tls, or another chain in PEM")
		}
		if ofKey != nil {
			found.add("SIDECAR_TLS_KEY_FILE", ofKey.Error(), "use the file tls.key of the same Secret, or the key without a passphrase in PEM")
		}
	}
}

// sameAddress reports whether two listeners cannot both bind.
func sameAddress(a, b string) bool {
	if a == b {
		_, port, err := net.SplitHostPort(a)
		return err != nil || port != "0"
	}
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	return canonical(hostA) == canonical(hostB) || wildcard(hostA) || wildcard(hostB)
}

func canonical(host string) string {
	if strings.EqualFold(host, "localhost") {
		return "127.0.0.1"
	}
	return host
}

func wildcard(host string) bool {
	if host == "" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsUnspecified()
}

var logLevels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}
