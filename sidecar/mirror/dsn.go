package mirror

import (
	"context"
	"database/sql/driver"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/go-sql-driver/mysql"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
)

// dialTimeout bounds a dial if the DSN has no timeout.
const dialTimeout = 3 * time.Second

// CheckDSN returns an error if a data source name is not valid. The error quotes no
// part of it: an unreadable part can be the password.
func CheckDSN(dsn string) error {
	_, err := parseDSN(dsn)
	return err
}

// PlainHost returns the host of a DSN that does not say whether to use TLS: what is sent
// there is not encrypted. It returns "" for any other DSN, and for a unix socket.
func PlainHost(dsn string) string {
	cfg, err := parseDSN(dsn)
	if err != nil || cfg.Net != "tcp" || cfg.TLSConfig != "" {
		return ""
	}
	host, _, _ := net.SplitHostPort(cfg.Addr) // the driver made it
	return host
}

// parseDSN parses a data source name, and adds the parameters of every connection.
func parseDSN(dsn string) (cfg *mysql.Config, err error) {
	defer func() {
		if recover() != nil { // the driver panics at a parameter of older versions
			cfg, err = nil, errors.New("has the parameter strict, which no longer exists")
		}
	}()
	switch {
	case dsn == "":
		return nil, errors.New("is empty")
	case strings.ContainsFunc(dsn, unicode.IsControl):
		return nil, errors.New("has a control character or more than one line")
	}
	cfg, err = mysql.ParseDSN(dsn)
	switch {
	case err != nil:
		return nil, errors.New("cannot be read")
	case cfg.Net != "tcp" && cfg.Net != "unix":
		return nil, errors.New("has a network that is neither tcp nor unix")
	case cfg.DBName == "":
		return nil, errors.New("names no database")
	}
	cfg.Logger = &mysql.NopLogger{} // the error has the same text
	if cfg.Timeout == 0 {
		cfg.Timeout = dialTimeout
	}
	// All statements and values are ASCII, so with any collation it is safe to put the
	// values into the statement. That saves two round trips.
	cfg.InterpolateParams, cfg.Collation = true, ""
	cfg.AllowAllFiles, cfg.MultiStatements = false, false
	if cfg.Params == nil {
		cfg.Params = map[string]string{}
	}
	// A locked row must not block this connection for long. A value that is too long
	// must fail, and not be cut: half a credential is invalid.
	for name, value := range map[string]string{"autocommit": "1", "innodb_lock_wait_timeout": "2", "lock_wait_timeout": "2"} {
		if _, ok := cfg.Params[name]; !ok {
			cfg.Params[name] = value
		}
	}
	mode := cfg.Params["sql_mode"]
	if mode == "" {
		mode = "@@sql_mode"
	}
	cfg.Params["sql_mode"] = "CONCAT_WS(',', NULLIF(" + mode + ", ''), 'STRICT_ALL_TABLES')"
	return cfg, nil
}

// connector makes connections, each with the current DSN.
type connector struct {
	dsn      func() (string, error)
	password atomic.Pointer[string] // the last one, for redaction
}

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	dsn, err := c.dsn()
	if err != nil {
		return nil, badDSN(err)
	}
	cfg, err := parseDSN(dsn)
	if err != nil {
		return nil, badDSN(err)
	}
	c.password.Store(&cfg.Passwd)
	made, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, badDSN(errors.New("cannot be used"))
	}
	return made.Connect(ctx)
}

// badDSN returns a failure for a DSN that was valid when the program started.
func badDSN(err error) error {
	return &failure{"the DSN " + err.Error(), hint.DSNFile, true}
}

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return mysql.MySQLDriver{} }

// redact returns the text without the secrets and the password.
func (c *connector) redact(text string, secrets ...string) string {
	if password := c.password.Load(); password != nil {
		secrets = append(secrets, *password)
	}
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "[redacted]")
		}
	}
	return text
}
