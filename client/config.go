package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/ring"
)

// DefaultSidecar is where a sidecar listens that was told nothing else.
const DefaultSidecar = "http://127.0.0.1:7200"

// MaxLocal is the longest Config.Local. WeChat accepts a token for 300 s after
// it issued the next one; the rest is for the request that carries it.
const MaxLocal = 240 * time.Second

// Config says which account, and where memcached and the sidecar are.
type Config struct {
	// AppID is the account: 1 to 64 letters, digits, _ or -. It has no default.
	AppID string

	// Servers are memcached, each host:port or /path/to.sock; empty means
	// memcache.DefaultServer. Several must be named as the sidecars name them, in
	// the same order.
	Servers []string
	// Hash says how several servers share the keys, the same as the sidecar's; ""
	// means ring.Ketama.
	Hash ring.Hash
	// Prefix stands before every key, the same as the sidecar's; empty means none.
	Prefix string
	// Timeout bounds one operation at memcached, and a dial; 0 means
	// memcache.DefaultTimeout.
	Timeout time.Duration
	// Dial connects to memcached; nil means net.Dialer. For TLS and for tests.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Sidecar is where the sidecar's API is, http://host:port or unix:///path;
	// empty means DefaultSidecar.
	Sidecar string
	// AuthTokenFile holds the bearer token that the sidecar asks for, white space
	// at its ends cut; empty means that it asks for none. It is read before every
	// request to the sidecar, so a changed one is in use at once.
	AuthTokenFile string
	// Transport carries the requests to the sidecar; nil means a transport of the
	// Client's own, which uses no proxy. For tests, and for a CA of your own.
	Transport http.RoundTripper

	// Local is how long a token is kept in the process; 0 means not at all. At
	// most MaxLocal, since the renewal of a token is not announced.
	Local time.Duration

	// WeChatHosts are further hosts that HTTPClient may send the token to, as host
	// or host:port: a proxy of yours in front of WeChat, or a test's server. Empty
	// means WeChat's own alone. https, or plain http towards loopback.
	WeChatHosts []string

	// Observe is called with the source of each credential, before the method that
	// returns the credential does, in the goroutine of its caller; nil calls nothing.
	// It must be safe for concurrent use. For metrics: how many reads need the sidecar?
	Observe func(Observation)
}

// names is what the reader of an error calls the fields.
type names struct{ appID, servers, hash, prefix, timeout, sidecar, authTokenFile string }

var fieldNames = names{"AppID", "Servers", "Hash", "Prefix", "Timeout", "Sidecar", "AuthTokenFile"}

// check reports everything that is wrong, what is known already included.
func (cfg Config) check(n names, known ...error) error {
	bad := known
	complain := func(field string, err error) {
		if err != nil {
			bad = append(bad, fmt.Errorf("%s: %w", field, err))
		}
	}
	if !memcache.ValidAppID(cfg.AppID) {
		complain(n.appID, fmt.Errorf("%q is not an AppID, which is 1 to 64 letters, digits, _ or -", cfg.AppID))
	}
	complain(n.servers, memcache.CheckServers(cfg.Servers))
	complain(n.hash, ring.Check(cfg.Hash))
	complain(n.prefix, memcache.CheckPrefix(cfg.Prefix))
	if cfg.Timeout < 0 {
		complain(n.timeout, fmt.Errorf("%s is below zero", cfg.Timeout))
	}
	_, err := parseAddress(cfg.Sidecar)
	complain(n.sidecar, err)
	if cfg.AuthTokenFile != "" {
		_, err := readBearer(cfg.AuthTokenFile)
		complain(n.authTokenFile, err)
	}
	if cfg.Local < 0 || cfg.Local > MaxLocal {
		complain("Local", fmt.Errorf("%s is not between 0 and %s", cfg.Local, MaxLocal))
	}
	for _, host := range cfg.WeChatHosts {
		if host == "" || strings.ContainsAny(host, "/@?# ") {
			complain("WeChatHosts", errors.New("an entry is neither host nor host:port"))
		}
	}
	if err := errors.Join(bad...); err != nil {
		return fmt.Errorf("client: bad configuration: %w", err)
	}
	return nil
}
