package client

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache/ring"
)

// os.Getenv reads the variables: eleven do not justify a configuration library in
// every app's binary.
var variableNames = names{ // #nosec G101 -- no credentials: names of variables
	appID:         "WECHAT_APPID",
	servers:       "MEMCACHED_SERVERS",
	hash:          "MEMCACHED_HASH",
	prefix:        "MEMCACHED_KEY_PREFIX",
	timeout:       "MEMCACHED_TIMEOUT",
	tls:           "MEMCACHED_TLS",
	memcachedCA:   "MEMCACHED_CA_FILE",
	authFile:      "MEMCACHED_AUTH_FILE",
	sidecar:       "SIDECAR_URL",
	authTokenFile: "SIDECAR_AUTH_TOKEN_FILE",
	caFile:        "SIDECAR_CA_FILE",
}

// FromEnv returns a Client that the environment configures, with the sidecar's own
// variables. The error names every invalid one.
//
//	WECHAT_APPID             the account's AppID; required
//	MEMCACHED_SERVERS        comma list of host:port or /path/to.sock, or off; default 127.0.0.1:11211
//	MEMCACHED_HASH           how several servers share the keys; default ketama
//	MEMCACHED_KEY_PREFIX     before every key; default none
//	MEMCACHED_TIMEOUT        one memcached operation, such as 200ms, the default
//	MEMCACHED_TLS            true: TLS towards memcached; default false
//	MEMCACHED_CA_FILE        the CAs of memcached's certificate; default the system's
//	MEMCACHED_AUTH_FILE      user:password for memcached; default none
//	SIDECAR_URL              default http://127.0.0.1:7200; or https://host:port, unix:///path
//	SIDECAR_AUTH_TOKEN_FILE  the bearer token for the sidecar; default none
//	SIDECAR_CA_FILE          the CA of a sidecar with https, in PEM; default the system's
func FromEnv() (*Client, error) {
	cfg, err := ConfigFromEnv()
	if err != nil {
		return nil, err
	}
	return build(cfg)
}

// ConfigFromEnv returns the Config of FromEnv, for an app that sets further fields.
func ConfigFromEnv() (Config, error) {
	n := variableNames
	cfg := Config{
		AppID: os.Getenv(n.appID),
		Memcached: Memcached{
			Hash: ring.Hash(os.Getenv(n.hash)), Prefix: os.Getenv(n.prefix),
			CAFile: os.Getenv(n.memcachedCA), AuthFile: os.Getenv(n.authFile),
		},
		Sidecar:       os.Getenv(n.sidecar),
		AuthTokenFile: os.Getenv(n.authTokenFile),
		CAFile:        os.Getenv(n.caFile),
	}
	for server := range strings.SplitSeq(os.Getenv(n.servers), ",") {
		if server = strings.TrimSpace(server); server != "" {
			cfg.Servers = append(cfg.Servers, server)
		}
	}
	var bad []error
	if s := os.Getenv(n.timeout); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil || d <= 0 {
			bad = append(bad, fmt.Errorf("%s: %q is not a positive duration; use one such as 200ms", n.timeout, s))
		} else {
			cfg.Memcached.Timeout = d
		}
	}
	if s := os.Getenv(n.tls); s != "" {
		on, err := strconv.ParseBool(s)
		if err != nil {
			bad = append(bad, fmt.Errorf("%s: neither true nor false; use true, or leave it unset", n.tls))
		}
		cfg.Memcached.TLS = on || err != nil // else the CA's file would be wrong too
	}
	if err := cfg.check(n, bad...); err != nil {
		return Config{}, err
	}
	return cfg, nil
}
