package main

import (
	"errors"
	"reflect"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// config is the sidecar's configuration. Every variable is defined here once, with
// its default and meaning. `sidecar help` and docs/configuration.md are generated
// from it.
type config struct {
	AppID         string        `env:"WECHAT_APPID" meaning:"The account's AppID, wx and 16 letters or digits. With SIDECAR_UPSTREAM it can be a comma-separated list."`
	AppSecret     secret        `env:"WECHAT_APPSECRET" meaning:"Its AppSecret. Or use WECHAT_APPSECRET_FILE."`
	AppSecretFile string        `env:"WECHAT_APPSECRET_FILE" meaning:"A file with its AppSecret. The sidecar reads it before every request to WeChat and trims white space."`
	AccountsDir   string        `env:"WECHAT_ACCOUNTS_DIR" meaning:"For many accounts: a folder with one file per account, named after the AppID, with the AppSecret in it. The sidecar reads the folder every 10 s, so accounts come and go without a restart. Other files are ignored, with a note on the status page."`
	TokenAPI      string        `env:"WECHAT_TOKEN_API" envDefault:"token" meaning:"token: GET /cgi-bin/token. stable_token: POST /cgi-bin/stable_token."`
	Tickets       []string      `env:"WECHAT_TICKETS" meaning:"Tickets to keep beside the token, as a comma-separated list: jsapi or wx_card for all accounts, wxAPPID:jsapi for one. Mini programs have none."`
	Quota         bool          `env:"WECHAT_QUOTA" envDefault:"false" meaning:"true: about once an hour, one of the sidecars reads WeChat's own count of requests for tokens. So the fetches of other programs are counted too."`
	BaseURLs      []string      `env:"WECHAT_BASE_URL" envDefault:"https://api.weixin.qq.com" meaning:"A comma-separated list. The sidecar tries the next URL if a connection or its TLS handshake fails. Plain http is for loopback addresses only."`
	WeChatTimeout time.Duration `env:"WECHAT_TIMEOUT" envDefault:"5s" meaning:"The limit of one attempt at WeChat, at most 10s. All attempts of one renewal end within 10 s."`

	Servers          []string      `env:"MEMCACHED_SERVERS" envDefault:"127.0.0.1:11211" meaning:"A comma-separated list of host:port or /path/to.sock. A name is resolved at every connection, and must be one memcached. All sidecars and apps must list the same servers in the same order. With SIDECAR_UPSTREAM it can be off: the sidecar then keeps its credentials in memory alone."`
	Hash             string        `env:"MEMCACHED_HASH" envDefault:"ketama" meaning:"How several servers share the keys: ketama, php-memcached, php-memcache-consistent or php-memcache-standard. It must match the apps' client."`
	MemcachedTimeout time.Duration `env:"MEMCACHED_TIMEOUT" envDefault:"200ms" meaning:"The limit of one memcached operation, at most 2s."`
	KeyPrefix        string        `env:"MEMCACHED_KEY_PREFIX" meaning:"A prefix of every key, at most 120 bytes. Apps need the same one."`

	MemcachedTLS      bool   `env:"MEMCACHED_TLS" envDefault:"false" meaning:"true: use TLS 1.2 or newer towards memcached (-Z). Its certificate must be valid for the name in MEMCACHED_SERVERS."`
	MemcachedCAFile   string `env:"MEMCACHED_CA_FILE" meaning:"A file with the certificates of the CAs that sign memcached's, in PEM. Without it, those of the system count. The sidecar reads it at every connection, so a change needs no restart."`
	MemcachedAuthFile string `env:"MEMCACHED_AUTH_FILE" meaning:"A file with user:password for memcached's ASCII authentication (-Y). If it has a second line, for a rotation, that is sent if memcached refuses the first. The sidecar reads it at every connection, so a change needs no restart."`

	Listen        string   `env:"SIDECAR_LISTEN" envDefault:"127.0.0.1:7200" meaning:"The API's address: host:port or unix:///path."`
	AuthTokenFile string   `env:"SIDECAR_AUTH_TOKEN_FILE" meaning:"A file with the bearer token that callers must send, of at least 16 bytes. A second line, for a rotation, is accepted too. Required if the API listens on more than loopback or a unix socket. The sidecar reads the file again when it changes."`
	ReaderFile    string   `env:"SIDECAR_READER_TOKEN_FILE" meaning:"A file with a second bearer token, by the same rules, for callers that may read and do nothing else: with it, refresh and logins are 403. It needs SIDECAR_AUTH_TOKEN_FILE. With SIDECAR_UPSTREAM it is the token that this sidecar sends, instead of SIDECAR_UPSTREAM_TOKEN_FILE: this sidecar is then read-only."`
	TLSCertFile   string   `env:"SIDECAR_TLS_CERT_FILE" meaning:"A file with the certificate of the API in PEM, and those that signed it. The API then speaks https alone. The sidecar reads it and the key again when they change."`
	TLSKeyFile    string   `env:"SIDECAR_TLS_KEY_FILE" meaning:"A file with the certificate's private key in PEM."`
	Compat        bool     `env:"SIDECAR_COMPAT" envDefault:"false" meaning:"true: the API also serves WeChat's own routes /cgi-bin/token, /cgi-bin/stable_token and /cgi-bin/ticket/getticket, for programs whose token address is configurable."`
	Login         bool     `env:"SIDECAR_LOGIN" envDefault:"false" meaning:"true: the API also exchanges the codes of users, POST /v1/{appid}/login for mini programs and /v1/{appid}/oauth for web pages, so that apps need no AppSecret. With SIDECAR_COMPAT, WeChat's own routes /sns/jscode2session and /sns/oauth2/access_token too. A sidecar with SIDECAR_UPSTREAM passes codes on to it."`
	Upstreams     []string `env:"SIDECAR_UPSTREAM" meaning:"For a sidecar without the AppSecret: a comma-separated list of the standalone sidecars that it asks instead of WeChat, each as an https URL with a host and a port. They are asked without a proxy."`
	UpstreamFile  string   `env:"SIDECAR_UPSTREAM_TOKEN_FILE" meaning:"A file with the bearer token of the upstream, by the rules of SIDECAR_AUTH_TOKEN_FILE. With two lines the second one is sent if the first is refused."`
	CAFile        string   `env:"SIDECAR_CA_FILE" meaning:"A file with the CA certificates in PEM that the upstream's must be signed by; the system's by default. The sidecar reads it for each connection. The Go client has the same variable for its sidecar."`
	OpsListen     string   `env:"SIDECAR_OPS_LISTEN" envDefault:":7201" meaning:"The address of health checks, metrics and the status page, which show neither tokens nor secrets. off disables it."`
	OpsHosts      []string `env:"SIDECAR_OPS_HOSTS" meaning:"Further host names of the status page and /status.json, as a comma-separated list. Always allowed are IP addresses, names without a dot, this host's name in any domain, and names that end with .svc, .cluster.local, .internal or .local."`

	MirrorFile    string `env:"MIRROR_FILE" meaning:"A copy of the token in a file, in the format of the well-known PHP class: access_token.json. For many accounts the path must contain {appid}."`
	MirrorDSN     secret `env:"MIRROR_MYSQL_DSN" meaning:"A copy in the table of that class in MySQL or MariaDB: user:password@tcp(host:3306)/database?tls=true. Or use MIRROR_MYSQL_DSN_FILE."`
	MirrorDSNFile string `env:"MIRROR_MYSQL_DSN_FILE" meaning:"A file with the DSN. The sidecar reads it before every connection and trims white space."`
	MirrorTable   string `env:"MIRROR_MYSQL_TABLE" envDefault:"wx_token" meaning:"The table's name. For many accounts it must contain {appid}."`

	LogLevel  string `env:"LOG_LEVEL" envDefault:"info" meaning:"debug, info, warn or error. Logs go to stderr."`
	LogFormat string `env:"LOG_FORMAT" envDefault:"json" meaning:"json or text."`
}

// off disables the ops listener, and memcached for a sidecar with an upstream.
const off = "off"

// variable is one variable of the configuration.
type variable struct{ name, defaultValue, meaning string }

// variables returns all variables, in the order of config.
func variables() []variable {
	var all []variable
	t := reflect.TypeFor[config]()
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		all = append(all, variable{tag.Get("env"), tag.Get("envDefault"), tag.Get("meaning")})
	}
	return all
}

// variableOf returns the variable of a field of config.
func variableOf(fieldName string) string {
	field, _ := reflect.TypeFor[config]().FieldByName(fieldName)
	return field.Tag.Get("env")
}

// parse reads the configuration. It returns every problem, not only the first.
func parse(environ []string) (config, problems) {
	var cfg config
	var found problems
	err := env.ParseWithOptions(&cfg, env.Options{Environment: env.ToMap(environ)})
	var all env.AggregateError
	if errors.As(err, &all) {
		for _, one := range all.Errors {
			// The error quotes the value, which can be a secret in the wrong variable.
			// So only the name is used.
			var bad env.ParseError
			switch {
			case !errors.As(one, &bad):
			case bad.Type.Kind() == reflect.Bool:
				found.add(variableOf(bad.Name), "the value is neither true nor false", "use true, or leave it unset")
			default:
				found.add(variableOf(bad.Name), "the value is not a duration", "write it like 5s or 200ms")
			}
		}
	} else if err != nil {
		found.add("environment", "cannot be parsed", "report this as a bug of wxsidecar")
	}
	cfg.trimLists(&found)
	cfg.check(&found)
	checkProxy(environ, &found)
	return cfg, found
}

// trimLists trims the lists. One that has commas and nothing else is an error.
func (c *config) trimLists(found *problems) {
	for variable, list := range map[string]*[]string{
		"WECHAT_BASE_URL": &c.BaseURLs, "MEMCACHED_SERVERS": &c.Servers, "WECHAT_TICKETS": &c.Tickets,
		"SIDECAR_OPS_HOSTS": &c.OpsHosts, "SIDECAR_UPSTREAM": &c.Upstreams,
	} {
		given := len(*list) > 0
		if *list = trimmed(*list); given && len(*list) == 0 {
			found.add(variable, "the list is empty", "name at least one, or remove this variable")
		}
	}
}

// trimmed returns a list without white space and without empty elements.
func trimmed(list []string) []string {
	var out []string
	for _, s := range list {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}
