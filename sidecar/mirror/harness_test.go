package mirror_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/mirror"
	"github.com/wxsidecar/wxsidecar/sidecar/mirror/mirrortest"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

const (
	appID    = "wx0123456789abcdef"
	patience = time.Minute
	often    = 10 * time.Millisecond
)

// mariadb is the server that most tests share. Each test has its own database.
var mariadb *mirrortest.Server

func TestMain(m *testing.M) {
	asWriter()
	os.Exit(func() int {
		server, err := mirrortest.Start()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = server.Close() }()
		mariadb = server
		// tls=true also trusts the certificates in SSL_CERT_DIR. It is a folder of its own
		// with a link, because the server's folder has other files.
		trusted, err := os.MkdirTemp("", "wxca")
		if err != nil {
			panic(err)
		}
		defer func() { _ = os.RemoveAll(trusted) }()
		if err := os.Symlink(server.Certificate(), filepath.Join(trusted, "ca.pem")); err != nil {
			panic(err)
		}
		_ = os.Setenv("SSL_CERT_DIR", trusted)
		return m.Run()
	}())
}

// output is the log, readable while it is written.
type output struct{ programtest.Output }

// lines returns the log lines with this message.
func (o *output) lines(t *testing.T, message string) []map[string]any {
	t.Helper()
	var found []map[string]any
	for line := range strings.Lines(o.String()) {
		var one map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &one))
		if one["msg"] == message {
			found = append(found, one)
		}
	}
	return found
}

const (
	fails = "mirror failed, its readers keep the previous token"
	once  = "mirror write failed"
	works = "mirror recovered"
)

// running is a running mirror.
type running struct {
	*mirror.Mirror
	log  *output
	stop func() // ends it and waits
}

// run runs a mirror of appID until the test ends. Its log and errors contain no
// secret.
func run(t *testing.T, cfg mirror.Config) *running {
	t.Helper()
	r := &running{log: &output{}}
	cfg.Log = slog.New(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.Mirror = mirror.New(cfg)
	r.SetAccounts([]string{appID})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.Run(ctx)
	}()
	r.stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(func() {
		r.stop()
		programtest.AssertNoCanary(t, r.log.String())
		for _, s := range r.States() {
			programtest.AssertNoCanary(t, s.Error+s.Hint.English)
		}
	})
	return r
}

// inTable is a mirror to this table of the shared server.
func inTable(t *testing.T, database, table string) *running {
	t.Helper()
	return run(t, mirror.Config{DSN: dsnOf(mariadb.DSN(database)), Table: table})
}

func dsnOf(dsn string) func() (string, error) { return func() (string, error) { return dsn, nil } }

// newDatabase creates a database with these tables for one test.
func newDatabase(t *testing.T, tables ...string) (name string, db *sql.DB) {
	t.Helper()
	return newDatabaseOn(t, mariadb, tables...)
}

func newDatabaseOn(t *testing.T, server *mirrortest.Server, tables ...string) (name string, db *sql.DB) {
	t.Helper()
	name = fmt.Sprintf("db%d", time.Now().UnixNano())
	_ = must(server.DB().Exec("CREATE DATABASE " + name))(t)
	db = must(sql.Open("mysql", server.DSN(name)))(t)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	for _, statement := range tables {
		execute(t, db, statement)
	}
	return name, db
}

func execute(t *testing.T, db *sql.DB, statement string, args ...any) {
	t.Helper()
	_ = must(db.Exec(statement, args...))(t)
}

// keyless creates the table as users of the class do.
const keyless = "CREATE TABLE wx_token (id int, type varchar(20), expire varchar(16), value varchar(600))"

// token returns a credential that must not show anywhere.
func token(n int) string { return fmt.Sprintf("canarytoken-%03d-%s", n, strings.Repeat("x", 120)) }

// change returns a token that this sidecar renewed.
func change(n int, expires time.Time) keeper.Change {
	return keeper.Change{AppID: appID, Kind: memcache.AccessToken, Value: token(n), Number: int64(n), Expires: expires, Own: true}
}

// inTwoHours is the expiry of a new token.
func inTwoHours() time.Time { return time.Now().Add(2 * time.Hour).Truncate(time.Second) }

// line is a row of the table.
type line struct {
	ID           int
	Kind, Expire string
	Fingerprint  string
}

// rows returns the rows of a table by id. A value shows as its fingerprint.
func rows(t *testing.T, db *sql.DB, table string) []line {
	t.Helper()
	result := must(db.Query("SELECT id, type, expire, value FROM `" + table + "` ORDER BY id, type"))(t)
	defer func() { _ = result.Close() }()
	var all []line
	for result.Next() {
		var one line
		var value string
		require.NoError(t, result.Scan(&one.ID, &one.Kind, &one.Expire, &value))
		one.Fingerprint = memcache.Fingerprint(value)
		all = append(all, one)
	}
	require.NoError(t, result.Err())
	return all
}

// rowOf returns the row of a change.
func rowOf(c keeper.Change) line {
	id := map[memcache.Kind]int{memcache.AccessToken: 1, memcache.JSAPITicket: 2}[c.Kind]
	return line{ID: id, Kind: string(c.Kind), Expire: fmt.Sprint(c.Expires.Unix() - 3660), Fingerprint: memcache.Fingerprint(c.Value)}
}

// holds reports whether a table has a token. No message contains the token.
func holds(db *sql.DB, table string, c keeper.Change) bool {
	var n int
	err := db.QueryRow("SELECT COUNT(*) FROM `"+table+"` WHERE type = ? AND value = ?", string(c.Kind), c.Value).Scan(&n)
	return err == nil && n == 1
}

func eventually(t *testing.T, ok func() bool, what string) {
	t.Helper()
	require.Eventually(t, ok, patience, often, what)
}

// state returns the state of the only mirror.
func state(t *testing.T, m *running) mirror.State {
	t.Helper()
	all := m.States()
	require.Len(t, all, 1)
	return all[0]
}

// must returns v, or ends the test if err is not nil.
func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		require.NoError(t, err)
		return v
	}
}
