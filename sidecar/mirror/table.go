package mirror

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
)

const (
	// writeTimeout bounds all statements for one credential.
	writeTimeout = 5 * time.Second
	// The sidecars that did not renew check the row checkAfter after the renewal,
	// spread over checkSpread.
	checkAfter, checkSpread = 3 * time.Second, 7 * time.Second
	// idleTimeout is how long an idle connection stays open. The next renewal is an
	// hour away, but many accounts can be renewed together.
	idleTimeout = 5 * time.Second
	// maxAhead is how many seconds a credential's time can be after ours, or after
	// now. WeChat's credentials live for at most 7,200 s, and their time is 3,660 s
	// before the expiry.
	maxAhead = 7200
)

// ids are the ids of the rows in the class.
var ids = map[memcache.Kind]int{memcache.AccessToken: 1, memcache.JSAPITicket: 2}

// table is wx_token.
type table struct {
	pattern   string
	connector *connector
	db        *sql.DB
}

func newTable(dsn func() (string, error), pattern string) *table {
	if pattern == "" {
		pattern = DefaultTable
	}
	c := &connector{dsn: dsn}
	t := &table{pattern: pattern, connector: c, db: sql.OpenDB(c)}
	t.db.SetMaxOpenConns(1)
	t.db.SetConnMaxIdleTime(idleTimeout)
	return t
}

func (t *table) close() { _ = t.db.Close() } // no statement runs

// delay is 0 for the sidecar that renewed. The others check the row later.
func (t *table) delay(c keeper.Change, spread float64) (time.Duration, bool) {
	if ids[c.Kind] == 0 {
		return 0, false
	}
	if c.Own {
		return 0, true
	}
	return checkAfter + time.Duration(spread*float64(checkSpread)), true
}

// checkEvery is a minute for the sidecar that renewed. A legacy program that found no
// row can store a null, and a table can be restored from a dump.
func (t *table) checkEvery(c keeper.Change) time.Duration {
	if c.Own {
		return time.Minute
	}
	return 0
}

func (t *table) write(ctx context.Context, j job) error {
	name := fill(t.pattern, j.AppID)
	if len(name) > maxTable {
		return &failure{what: "the table's name with this AppID has more than 64 characters", hint: hint.TableName}
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	conn, err := t.db.Conn(ctx)
	if err != nil {
		return t.unreachable(err)
	}
	defer func() { _ = conn.Close() }() // returns it to the pool
	r := row{conn, "`" + name + "`", j}
	if !j.Own || j.written {
		if current, err := r.isCurrent(ctx); err == nil && current {
			return nil
		}
	}
	if err := r.put(ctx); err != nil {
		return t.failure(err, j)
	}
	return nil
}

// row is one row, by its type.
type row struct {
	conn  *sql.Conn
	table string // in back quotes
	job
}

// isOlder is true for a row with an older credential, or with none. Its time is
// before ours, is not a time, or is too far ahead. Or its value is the credential
// before ours: WeChat can return a stable_token that expires earlier. Only numbers
// are cast, because strict servers refuse to cast other text.
const isOlder = "(CASE WHEN COALESCE(`expire`, '') NOT REGEXP '[^0-9]' AND CHAR_LENGTH(`expire`) BETWEEN 1 AND 16" +
	" THEN CAST(`expire` AS DECIMAL(16)) < ? OR CAST(`expire` AS DECIMAL(16)) > ? ELSE TRUE END" +
	" OR COALESCE(`value`, '') IN ('', ?))"

func (r *row) older() []any {
	ours := fetched(r.Expires)
	return []any{ours, latest(ours), r.previous}
}

// latest returns the latest time that a newer credential can have.
func latest(ours int64) int64 { return max(ours, time.Now().Unix()) + maxAhead }

// isCurrent reports whether there is a row, and none is older.
func (r *row) isCurrent(ctx context.Context) (bool, error) {
	var rows, older int
	args := append(r.older(), string(r.Kind))
	err := r.conn.QueryRowContext(ctx, "SELECT COUNT(*), COALESCE(SUM("+isOlder+"), 0) FROM "+r.table+" WHERE `type` = ?", args...).
		Scan(&rows, &older)
	return rows > 0 && older == 0, err
}

// put writes the row, unless it holds a newer credential. It creates a missing table.
// If several sidecars write at the same time, the database can refuse one of them.
// The queue retries, and then finds a row.
func (r *row) put(ctx context.Context) error {
	err := r.putOnce(ctx)
	var refused *mysql.MySQLError
	if !errors.As(err, &refused) || refused.Number != noSuchTable {
		return err
	}
	if err := r.create(ctx); err != nil {
		return err
	}
	return r.putOnce(ctx)
}

func (r *row) putOnce(ctx context.Context) error {
	n, err := r.exec(ctx, "UPDATE "+r.table+" SET `expire` = ?, `value` = ? WHERE `type` = ? AND "+isOlder,
		append([]any{fetched(r.Expires), r.Value, string(r.Kind)}, r.older()...)...)
	if err != nil || n > 0 {
		return err
	}
	// The row is newer, or missing. The table can have no key, so only locks keep two
	// sidecars from inserting a row each. At this isolation level the search locks the
	// missing row, and the database refuses one of the two.
	if _, err := r.exec(ctx, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"); err != nil {
		return err
	}
	_, err = r.exec(ctx, "INSERT INTO "+r.table+" (`id`, `type`, `expire`, `value`) SELECT ?, ?, ?, ? FROM DUAL"+
		" WHERE NOT EXISTS (SELECT 1 FROM "+r.table+" WHERE `type` = ?)",
		ids[r.Kind], string(r.Kind), fetched(r.Expires), r.Value, string(r.Kind))
	return err
}

func (r *row) create(ctx context.Context) error {
	_, err := r.exec(ctx, "CREATE TABLE IF NOT EXISTS "+r.table+
		" (`id` int NOT NULL, `type` varchar(20) NOT NULL, `expire` varchar(16) NOT NULL, `value` varchar(600) NOT NULL,"+
		" PRIMARY KEY (`id`)) ENGINE=InnoDB")
	return err
}

func (r *row) exec(ctx context.Context, statement string, args ...any) (int64, error) {
	result, err := r.conn.ExecContext(ctx, statement, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
