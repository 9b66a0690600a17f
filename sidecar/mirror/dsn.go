package mirror

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/go-sql-driver/mysql"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
)

// dialPatience is the wait for a connection where the DSN names no other.
const dialPatience = 3 * time.Second

// CheckDSN says what is wrong with a data source name. The error quotes nothing of
// it: a part that cannot be read may be the password.
func CheckDSN(dsn string) error {
	_, err := parseDSN(dsn)
	return err
}

// parseDSN reads a data source name, and adds what every connection needs.
func parseDSN(dsn string) (cfg *mysql.Config, err error) {
	defer func() {
		if recover() != nil { // the driver's answer to a parameter that it had once
			cfg, err = nil, errors.New("has the parameter strict, which is gone")
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
	cfg.Logger = &mysql.NopLogger{} // what it says is in the error too
	if cfg.Timeout == 0 {
		cfg.Timeout = dialPatience
	}
	// All that is said is ASCII, so that no collation makes it unsafe to put values
	// into the statement; and that saves two round trips.
	cfg.InterpolateParams, cfg.Collation = true, ""
	cfg.AllowAllFiles, cfg.MultiStatements = false, false
	if cfg.Params == nil {
		cfg.Params = map[string]string{}
	}
	// A row that is held by somebody must not hold a connection here. A value that is
	// too long must fail, and not be cut: half a credential is a dead one.
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

// connector makes connections, each with what the DSN says by then.
type connector struct {
	dsn      func() (string, error)
	password atomic.Pointer[string] // the last one, to be kept out of texts
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

// badDSN is a DSN that was fine when the program started.
func badDSN(err error) error {
	return &failure{"the DSN " + err.Error(), hint.DSNFile, true}
}

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return mysql.MySQLDriver{} }

// without is a text in which no secret is left.
func (c *connector) without(text string, secrets ...string) string {
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
