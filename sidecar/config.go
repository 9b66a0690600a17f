package main

import (
	"errors"
	"reflect"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// config is the sidecar's configuration. Every variable stands here once, with
// its default and meaning: `sidecar help` and the README's table come from here.
type config struct {
	AppID         string        `env:"WECHAT_APPID" meaning:"the account's AppID"`
	AppSecret     secret        `env:"WECHAT_APPSECRET" meaning:"its AppSecret; or WECHAT_APPSECRET_FILE"`
	AppSecretFile string        `env:"WECHAT_APPSECRET_FILE" meaning:"a file with its AppSecret, read again before every call to WeChat, white space at its ends cut"`
	AccountsDir   string        `env:"WECHAT_ACCOUNTS_DIR" meaning:"many accounts: a folder with one file per account, named after the AppID, holding the AppSecret. Scanned every 10 s: accounts come and go without a restart"`
	TokenAPI      string        `env:"WECHAT_TOKEN_API" envDefault:"token" meaning:"token: GET /cgi-bin/token. stable_token: POST /cgi-bin/stable_token"`
	Tickets       []string      `env:"WECHAT_TICKETS" meaning:"comma list of jsapi, wx_card (for all accounts) or wxAPPID:jsapi (for one; mini programs have none): tickets kept beside the token"`
	BaseURLs      []string      `env:"WECHAT_BASE_URL" envDefault:"https://api.weixin.qq.com" meaning:"comma list, tried in order when a host cannot be dialled or its TLS fails. Plain http only towards loopback"`
	WeChatTimeout time.Duration `env:"WECHAT_TIMEOUT" envDefault:"5s" meaning:"one attempt at WeChat, at most 10s; all attempts of one renewal end within 10 s"`

	Servers          []string      `env:"MEMCACHED_SERVERS" envDefault:"127.0.0.1:11211" meaning:"comma list of host:port or /path/to.sock; a name is resolved again at every dial. Several must be named alike, in the same order, by sidecars and apps"`
	Hash             string        `env:"MEMCACHED_HASH" envDefault:"ketama" meaning:"how several servers share the keys: ketama, php-memcached, php-memcache-consistent or php-memcache-standard, as the apps' client does"`
	MemcachedTimeout time.Duration `env:"MEMCACHED_TIMEOUT" envDefault:"200ms" meaning:"one memcached operation, at most 2s"`
	KeyPrefix        string        `env:"MEMCACHED_KEY_PREFIX" meaning:"stands before every key; at most 120 bytes"`

	Listen        string `env:"SIDECAR_LISTEN" envDefault:"127.0.0.1:7200" meaning:"the API: host:port or unix:///path"`
	AuthTokenFile string `env:"SIDECAR_AUTH_TOKEN_FILE" meaning:"a file with the bearer token that callers must send; required as soon as the API listens beyond loopback or a unix socket; read again when it changes"`
	Compat        bool   `env:"SIDECAR_COMPAT" envDefault:"false" meaning:"true: the API also has WeChat's own routes /cgi-bin/token, /cgi-bin/stable_token and /cgi-bin/ticket/getticket, for programs whose token address can be set"`
	OpsListen     string `env:"SIDECAR_OPS_LISTEN" envDefault:":7201" meaning:"health, metrics, status page; carries neither tokens nor secrets. off turns it off"`

	MirrorFile    string `env:"MIRROR_FILE" meaning:"also write the token into this file, as the well-known PHP class does: access_token.json; with {appid} in its path where there are several accounts"`
	MirrorDSN     secret `env:"MIRROR_MYSQL_DSN" meaning:"also keep the table of that class in this MySQL or MariaDB: user:password@tcp(host:3306)/database?tls=true; or MIRROR_MYSQL_DSN_FILE"`
	MirrorDSNFile string `env:"MIRROR_MYSQL_DSN_FILE" meaning:"a file with that, read again for every connection, white space at its ends cut"`
	MirrorTable   string `env:"MIRROR_MYSQL_TABLE" envDefault:"wx_token" meaning:"the table's name, with {appid} in it where there are several accounts"`

	LogLevel  string `env:"LOG_LEVEL" envDefault:"info" meaning:"debug, info, warn or error; logs go to stderr"`
	LogFormat string `env:"LOG_FORMAT" envDefault:"json" meaning:"json or text"`
}

// off turns the ops listener off.
const off = "off"

// variable is one line of the table of variables.
type variable struct{ name, standard, meaning string }

// variables is the table, in the order of config.
func variables() []variable {
	var all []variable
	for field := range fields() {
		all = append(all, variable{field.Tag.Get("env"), field.Tag.Get("envDefault"), field.Tag.Get("meaning")})
	}
	return all
}

func fields() func(yield func(reflect.StructField) bool) {
	t := reflect.TypeFor[config]()
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

// variableOf is the variable of a field of config.
func variableOf(fieldName string) string {
	field, _ := reflect.TypeFor[config]().FieldByName(fieldName)
	return field.Tag.Get("env")
}

// parse reads the configuration and finds everything that is wrong with it.
func parse(environ []string) (config, problems) {
	var cfg config
	var found problems
	err := env.ParseWithOptions(&cfg, env.Options{Environment: env.ToMap(environ)})
	var all env.AggregateError
	if errors.As(err, &all) {
		for _, one := range all.Errors {
			// The error quotes the value, which may be anything: a secret in the
			// wrong variable, for one. Only the name is taken from it.
			var bad env.ParseError
			switch {
			case !errors.As(one, &bad):
			case bad.Type.Kind() == reflect.Bool:
				found.add(variableOf(bad.Name), "is neither true nor false", "use true, or leave it unset")
			default:
				found.add(variableOf(bad.Name), "is not a duration", "write it like 5s or 200ms")
			}
		}
	} else if err != nil {
		found.add("environment", "cannot be read", "report it as a fault of wxsidecar")
	}
	cfg.BaseURLs, cfg.Servers, cfg.Tickets = trimmed(cfg.BaseURLs), trimmed(cfg.Servers), trimmed(cfg.Tickets)
	cfg.check(&found)
	return cfg, found
}

// trimmed is a comma list without white space and without what is empty.
func trimmed(list []string) []string {
	var out []string
	for _, s := range list {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}
