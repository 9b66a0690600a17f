package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/ring"
)

// DefaultSidecar is where a sidecar listens by default.
const DefaultSidecar = "http://127.0.0.1:7200"

// MaxLocal is the longest Config.Local. WeChat accepts a token after the next renewal,
// for up to 300 s, but not after two. Reports can cause two renewals 31 s apart, so a
// process that holds a token for 30 s never holds one that is two renewals old.
const MaxLocal = 30 * time.Second

// Config names the account, and where memcached and the sidecar are.
type Config struct {
	// AppID is the account: 1 to 64 letters, digits, _ or -. It has no default.
	AppID string

	// Servers are memcached, each host:port or /path/to.sock; empty means
	// memcache.DefaultServer. Several must have the names and the order that the
	// sidecars use. "off" alone means that there is none, as for a sidecar that keeps its
	// credentials in memory: every read asks the sidecar. It excludes Memcached's TLS,
	// CAFile and AuthFile.
	Servers []string
	// Memcached is how they are used; its zero value suits one without TLS and password.
	Memcached Memcached

	// Sidecar is where the sidecar's API is, http://host:port or unix:///path;
	// empty means DefaultSidecar.
	Sidecar string
	// AuthTokenFile holds the bearer token that the sidecar requires, without the white
	// space at its ends; empty means that it requires none. The Client reads the file
	// before every request to the sidecar, so it uses a changed token at once. With two
	// lines it sends the first, and the other one if the sidecar answers 401.
	AuthTokenFile string
	// CAFile holds the certificates, in PEM, that the certificate of a sidecar with https
	// must be signed by; empty means the system's. The Client reads the file for every
	// connection, so it uses a changed one at once.
	CAFile string
	// Transport carries the requests to the sidecar; nil means the Client's own, which
	// uses no proxy. For tests. It excludes CAFile.
	Transport http.RoundTripper

	// Local is how long the process holds a token; 0 means not at all. At most
	// MaxLocal: the process does not learn of renewals, and a token is invalid after two.
	Local time.Duration

	// WeChatHosts are further hosts that HTTPClient sends the token to, as host or
	// host:port: your proxy in front of WeChat, or a test's server. Empty means only
	// WeChat's own. Over https, or plain http to loopback. A host is a name of ASCII
	// letters, digits, dots, - and _, or an IP address, for IPv6 in brackets.
	WeChatHosts []string

	// Log gets one warning for each server whose name has several addresses, and so can be
	// several memcacheds. It gets one whenever a server begins to refuse TLS or the password,
	// which a person must end: until then every read needs the sidecar. Nil means slog.Default.
	Log *slog.Logger
	// Observe is called with the source of each credential, in the caller's goroutine,
	// just before a method returns the credential; nil calls nothing. It must be safe
	// for concurrent use. For metrics, such as how many reads need the sidecar.
	Observe func(Observation)
}

// Memcached is how a Client uses memcached. Hash and Prefix must be those of the sidecars.
type Memcached struct {
	// Hash says how several servers share the keys; "" means ring.Ketama.
	Hash ring.Hash
	// Prefix precedes every key; empty means none.
	Prefix string
	// Timeout bounds one read or write, and a dial; 0 means memcache.DefaultTimeout. An
	// answer that arrives in pieces can take eleven timeouts. After the dial, TLS and the
	// password have a second together, or Timeout if that is longer.
	Timeout time.Duration
	// Dial connects; nil means net.Dialer. For tests.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// TLS begins every connection with TLS 1.2 or newer. The server's certificate must be
	// valid for its name in Config.Servers.
	TLS bool
	// CAFile has the certificates of the CAs that sign those of the servers, in PEM; empty
	// means the system's. The Client reads it at every dial.
	CAFile string
	// AuthFile has user:password for memcached's ASCII authentication (-Y); empty means
	// none. The Client reads it at every dial. With two lines it sends the first, and the
	// other one if memcached refuses it.
	AuthFile string
}

func (m Memcached) security() memcache.Security {
	return memcache.Security{TLS: m.TLS, CAFile: m.CAFile, AuthFile: m.AuthFile}
}

// names are the names that an error uses for the fields.
type names struct {
	appID, servers, hash, prefix, timeout string
	tls, memcachedCA, authFile            string // of memcached
	sidecar, authTokenFile, caFile        string
}

var fieldNames = names{
	"AppID", "Servers", "Memcached.Hash", "Memcached.Prefix", "Memcached.Timeout",
	"Memcached.TLS", "Memcached.CAFile", "Memcached.AuthFile",
	"Sidecar", "AuthTokenFile", "CAFile",
}

// check returns all invalid fields in one error, together with the known ones.
func (cfg Config) check(n names, known ...error) error {
	bad := known
	report := func(field string, err error) {
		if err != nil {
			bad = append(bad, fmt.Errorf("%s: %w", field, err))
		}
	}
	switch {
	case cfg.AppID == "":
		report(n.appID, errors.New("missing; set the account's AppID, such as wx0123456789abcdef"))
	case memcache.IsAppSecret(cfg.AppID): // not quoted
		report(n.appID, errors.New("32 hexadecimal digits are an AppSecret, not an AppID; a client needs no AppSecret"))
	case !memcache.ValidAppID(cfg.AppID):
		report(n.appID, fmt.Errorf("%q is not an AppID; use 1 to 64 letters, digits, _ or -", cfg.AppID))
	}
	cfg.checkServers(n, report)
	cfg.Memcached.check(n, report)
	where, err := parseAddress(cfg.Sidecar)
	report(n.sidecar, err)
	report(n.caFile, cfg.checkCA(where, n))
	if cfg.AuthTokenFile != "" {
		_, err := readBearers(cfg.AuthTokenFile)
		report(n.authTokenFile, err)
	}
	if cfg.Local < 0 || cfg.Local > MaxLocal {
		report("Local", fmt.Errorf("%s is out of range; use 0 to %s, because a token can be invalid 31s later", cfg.Local, MaxLocal))
	}
	for _, host := range cfg.WeChatHosts {
		if !authority.MatchString(host) {
			report("WeChatHosts", errors.New("an entry is not a host; use host or host:port, and [::1]:8080 for IPv6"))
		}
	}
	if err := errors.Join(bad...); err != nil {
		return fmt.Errorf("client: invalid configuration: %w", err)
	}
	return nil
}

// checkServers checks Servers, and what protects the connections to them.
func (cfg Config) checkServers(n names, report func(field string, err error)) {
	switch {
	case !slices.Contains(cfg.Servers, off):
		report(n.servers, memcache.CheckServers(cfg.Servers))
		cfg.Memcached.checkSecurity(cfg.Servers, n, report)
	case !cfg.withoutMemcached():
		report(n.servers, errors.New("off cannot be together with servers; remove off, or remove the servers"))
	case cfg.Memcached.security() != (memcache.Security{}):
		report(n.servers, fmt.Errorf("off means no memcached; name memcached, or remove %s, %s and %s", n.tls, n.memcachedCA, n.authFile))
	}
}

// withoutMemcached reports whether there is no memcached.
func (cfg Config) withoutMemcached() bool { return slices.Equal(cfg.Servers, []string{off}) }

// off in Config.Servers says that there is no memcached.
const off = "off"

// errOff is the error of every connection to memcached if there is none.
var errOff = errors.New("memcached is off")

// checkCA returns what is wrong with CAFile for a sidecar at this address.
func (cfg Config) checkCA(where address, n names) error {
	switch {
	case cfg.CAFile == "":
		return nil
	case cfg.Transport != nil:
		return errors.New("the field Transport is set too; use one of the two")
	case where.base != "" && !strings.HasPrefix(where.base, "https://"):
		return fmt.Errorf("the address in %s is not https; write https://, or leave this one unset", n.sidecar)
	}
	_, err := readCAs(cfg.CAFile)
	return err
}

func (m Memcached) check(n names, report func(field string, err error)) {
	report(n.hash, ring.Check(m.Hash))
	report(n.prefix, memcache.CheckPrefix(m.Prefix))
	if m.Timeout < 0 {
		report(n.timeout, fmt.Errorf("%s is negative; use a duration such as 200ms, or 0 for the default", m.Timeout))
	}
}

func (m Memcached) checkSecurity(servers []string, n names, report func(field string, err error)) {
	ofTLS, ofCAFile, ofAuthFile := m.security().Check(servers)
	report(n.tls, ofTLS)
	report(n.memcachedCA, ofCAFile)
	report(n.authFile, ofAuthFile)
}
