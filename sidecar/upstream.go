package main

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/bearerfile"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/upstream"
	"github.com/wxsidecar/wxsidecar/sidecar/web/listener"
)

// hasUpstream reports whether this sidecar has no AppSecret, and asks an upstream.
func (c *config) hasUpstream() bool { return len(c.Upstreams) > 0 }

// readOnly reports whether its upstream takes no reports from this sidecar.
func (c *config) readOnly() bool { return c.hasUpstream() && c.ReaderFile != "" }

// readersFile returns the file with the bearer token of this sidecar's own readers.
func (c *config) readersFile() string {
	if c.hasUpstream() {
		return ""
	}
	return c.ReaderFile
}

// inMemory reports whether the sidecar keeps its credentials in memory alone.
func (c *config) inMemory() bool { return slices.Equal(c.Servers, []string{off}) }

// appIDs returns the accounts of WECHAT_APPID.
func (c *config) appIDs() []string {
	if c.hasUpstream() {
		return trimmed(strings.Split(c.AppID, ","))
	}
	return trimmed([]string{c.AppID})
}

// checkUpstream is checkAccounts for a sidecar without the AppSecret.
func (c *config) checkUpstream(found *problems) {
	if c.Quota {
		found.add("WECHAT_QUOTA", "SIDECAR_UPSTREAM is set too", "set it on the sidecars with the AppSecret instead: only they ask WeChat")
	}
	if c.inMemory() && c.security() != (memcache.Security{}) {
		found.add("MEMCACHED_TLS", "MEMCACHED_SERVERS is off", "remove MEMCACHED_TLS, MEMCACHED_CA_FILE and MEMCACHED_AUTH_FILE")
	}
	if c.Login && c.readOnly() {
		found.add("SIDECAR_LOGIN", "this sidecar is read-only: its upstream takes no logins from it", "set SIDECAR_UPSTREAM_TOKEN_FILE instead of SIDECAR_READER_TOKEN_FILE, or remove this variable")
	}
	for variable, set := range map[string]bool{
		"WECHAT_APPSECRET": c.AppSecret != "", "WECHAT_APPSECRET_FILE": c.AppSecretFile != "", "WECHAT_ACCOUNTS_DIR": c.AccountsDir != "",
	} {
		if set {
			found.add(variable, "SIDECAR_UPSTREAM is set too", "remove this variable: a sidecar with an upstream needs no AppSecret; or remove SIDECAR_UPSTREAM")
		}
	}
	c.checkAppIDs(found)
	beyond := false
	for i, raw := range c.Upstreams {
		if err := upstream.CheckURL(raw); err != nil {
			found.add("SIDECAR_UPSTREAM", fmt.Sprintf("address %d: %s", i+1, err), "write it like https://wxsidecar.wx.svc:7200")
			beyond = true
			continue
		}
		host, _ := upstream.Host(raw)
		beyond = beyond || !listener.IsLoopback(host)
	}
	checkBearer(found, "SIDECAR_UPSTREAM_TOKEN_FILE", c.UpstreamFile)
	switch {
	case c.UpstreamFile != "" && c.ReaderFile != "":
		found.add("SIDECAR_READER_TOKEN_FILE", "SIDECAR_UPSTREAM_TOKEN_FILE is set too", "set one of the two: this one for a sidecar that may read and nothing else")
	case c.UpstreamFile == "" && c.ReaderFile == "" && beyond:
		found.add("SIDECAR_UPSTREAM_TOKEN_FILE", "missing, although SIDECAR_UPSTREAM is another machine", "use a file with the upstream's bearer token")
	case c.readOnly() && c.KeyPrefix == "" && !c.inMemory():
		found.add("MEMCACHED_KEY_PREFIX", "missing for a read-only sidecar", "set a prefix of its own, such as staging:, or MEMCACHED_SERVERS=off; "+
			"otherwise it could share the keys of an environment that renews")
	}
	if c.CAFile == "" {
		return
	}
	if !slices.ContainsFunc(c.Upstreams, func(raw string) bool { _, encrypted := upstream.Host(raw); return encrypted }) {
		found.add("SIDECAR_CA_FILE", "no address in SIDECAR_UPSTREAM is https", "write https:// there, or remove this variable")
	} else if _, err := upstream.ReadCAs(c.CAFile); err != nil {
		found.add("SIDECAR_CA_FILE", err.Error(), "use a file with the CA's certificate in PEM, such as ca.crt")
	}
}

// checkAppIDs checks a list of AppIDs.
func (c *config) checkAppIDs(found *problems) {
	ids := c.appIDs()
	if len(ids) == 0 {
		found.add("WECHAT_APPID", "no account configured", "list the AppIDs: an upstream does not name them")
	}
	for i, id := range ids {
		if what := notAppID(id); what != (hint.Hint{}) {
			found.add("WECHAT_APPID", fmt.Sprintf("account %d is wrong: %s", i+1, what.English), "use AppIDs such as wx0123456789abcdef, separated by commas")
		} else if slices.Contains(ids[:i], id) {
			found.add("WECHAT_APPID", fmt.Sprintf("account %d: listed twice", i+1), "list every AppID once")
		}
	}
}

// warnOfUpstream warns of a bearer token and tokens that cross a network without TLS.
func (c *config) warnOfUpstream(found *problems) {
	for i, raw := range c.Upstreams {
		host, encrypted := upstream.Host(raw)
		if upstream.CheckURL(raw) == nil && !encrypted && !listener.IsLoopback(host) {
			found.add("SIDECAR_UPSTREAM", fmt.Sprintf("address %d is plain http beyond loopback: the bearer token and tokens cross the network in plain text", i+1),
				"set SIDECAR_TLS_CERT_FILE for the upstream, and write https:// here")
		}
	}
}

// upstreamClient returns how this sidecar asks its upstream. before is called before each
// question.
func (c *config) upstreamClient(before func(), log *slog.Logger) (*upstream.Client, error) {
	cfg := upstream.Config{URLs: c.Upstreams, CAFile: c.CAFile, ReadOnly: c.readOnly(), Before: before}
	file, variable := c.UpstreamFile, "SIDECAR_UPSTREAM_TOKEN_FILE"
	if c.readOnly() {
		file, variable = c.ReaderFile, "SIDECAR_READER_TOKEN_FILE"
	}
	if file != "" {
		bearers, err := bearerfile.Open(file, variable, log, strings.Clone)
		if err != nil { // it was readable a moment ago
			return nil, err
		}
		cfg.Bearers = bearers.Current
	}
	return upstream.New(cfg)
}
