package main

import (
	"cmp"

	"github.com/caarlos0/env/v11"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

const proxyHint = "write it like http://proxy.example.com:3128, or unset it"

// checkProxy finds an HTTPS_PROXY that net/http would ignore: requests to WeChat would
// leave through another address, or not at all.
func checkProxy(environ []string, found *problems) {
	if name, value := proxyOf(environ, "HTTPS_PROXY", "https_proxy"); value != "" {
		if err := wechat.CheckProxy(value); err != nil {
			found.add(name, err.Error(), proxyHint)
		}
	}
}

// warnings returns what works, but is probably a mistake.
func (c *config) warnings(environ []string) problems {
	var found problems
	if name, value := proxyOf(environ, "HTTP_PROXY", "http_proxy"); value != "" {
		if err := wechat.CheckProxy(value); err != nil {
			found.add(name, err.Error(), proxyHint+"; the sidecar does not use it, but other programs may")
		}
	}
	c.warnOfMemcached(&found)
	c.warnOfMySQL(&found)
	c.warnOfUpstream(&found)
	return found
}

// proxyOf returns the name and value of the variable that net/http reads.
func proxyOf(environ []string, upper, lower string) (name, value string) {
	all := env.ToMap(environ)
	name = upper
	if all[upper] == "" {
		name = lower
	}
	return name, cmp.Or(all[upper], all[lower])
}
