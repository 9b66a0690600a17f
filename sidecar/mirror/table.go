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
	// writePatience is for all that is said to the database for one credential.
	writePatience = 5 * time.Second
	// lookAfter is how long after a renewal the sidecars that did not make it look at
	// the row, and lookSpread over how long they spread.
	lookAfter, lookSpread = 3 * time.Second, 7 * time.Second
	// idleFor is how long a connection outlives its use: the next renewal is an hour
	// away, but many accounts may be renewed together.
	idleFor = 5 * time.Second
	// tries bounds how often sidecars that write at once start again.
	tries = 6
	// apart is over how long those spread that start again, more at each try.
	apart = 100 * time.Millisecond
	// farAhead is how far beyond ours, and beyond now, no credential's time can be, in
	// seconds: WeChat's live for 7,200 at most, and their time is 3,660 before the end.
	farAhead = 7200
)

// ids are those of the rows, as the class numbers them.
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
	t.db.SetConnMaxIdleTime(idleFor)
	return t
}

func (t *table) close() { _ = t.db.Close() } // nothing is under way: nothing is lost

// delay: who fetched the credential writes at once, the others look later.
func (t *table) delay(c keeper.Change, spread float64) (time.Duration, bool) {
	if ids[c.Kind] == 0 {
		return 0, false
	}
	if c.Own {
		return 0, true
	}
	return lookAfter + time.Duration(spread*float64(lookSpread)), true
}

// again: who fetched it looks whether it is still there. A legacy program that found
// no row stores a null, and a table may be restored from a dump.
func (t *table) again(c keeper.Change) time.Duration {
	if c.Own {
		return time.Minute
	}
	return 0
}

func (t *table) write(ctx context.Context, j job) error {
	name := fill(t.pattern, j.AppID)
	if len(name) > maxTable {
		return &failure{what: "the table's name is longer than 64 characters with this AppID", hint: hint.TableName}
	}
	ctx, cancel := context.WithTimeout(ctx, writePatience)
	defer cancel()
	conn, err := t.db.Conn(ctx)
	if err != nil {
		return t.unreachable(err)
	}
	defer func() { _ = conn.Close() }() // gives it back
	r := row{conn, "`" + name + "`", j}
	if !j.Own || j.written {
		if fine, err := r.isFine(ctx); err == nil && fine {
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

// isOlder is true of a row that holds an older credential than ours, or none: its
// time is before ours, or no time at all, or further ahead than can be; or it
// holds the credential before ours, whose time may be later where WeChat gives us
// an old stable_token. Numbers are cast only where they are some: strict servers
// refuse the statement else.
const isOlder = "(CASE WHEN COALESCE(`expire`, '') NOT REGEXP '[^0-9]' AND CHAR_LENGTH(`expire`) BETWEEN 1 AND 16" +
	" THEN CAST(`expire` AS DECIMAL(16)) < ? OR CAST(`expire` AS DECIMAL(16)) > ? ELSE TRUE END" +
	" OR COALESCE(`value`, '') IN ('', ?))"

func (r *row) older() []any {
	ours := fetched(r.Expires)
	return []any{ours, latest(ours), r.before}
}

// latest is the latest time that a credential may have which is newer than ours.
func latest(ours int64) int64 { return max(ours, time.Now().Unix()) + farAhead }

// isFine reports whether there is a row, and none is older.
func (r *row) isFine(ctx context.Context) (bool, error) {
	var rows, older int
	args := append(r.older(), string(r.Kind))
	err := r.conn.QueryRowContext(ctx, "SELECT COUNT(*), COALESCE(SUM("+isOlder+"), 0) FROM "+r.table+" WHERE `type` = ?", args...).
		Scan(&rows, &older)
	return rows > 0 && older == 0, err
}

// put writes the row, unless it holds what is newer. Where others do so at the same
// time the database may refuse one of us: that one starts again, and finds a row.
func (r *row) put(ctx context.Context) error {
	for try := 1; ; try++ {
		err := r.putOnce(ctx)
		switch {
		case err == nil || try == tries:
			return err
		case isNumber(err, noSuchTable):
			if err := r.create(ctx); err != nil {
				return err
			}
		case isNumber(err, deadlock, duplicate):
			select {
			case <-time.After(time.Duration(float64(try) * jitter() * float64(apart))):
			case <-ctx.Done():
				return err
			}
		default:
			return err
		}
	}
}

func (r *row) putOnce(ctx context.Context) error {
	n, err := r.exec(ctx, "UPDATE "+r.table+" SET `expire` = ?, `value` = ? WHERE `type` = ? AND "+isOlder,
		append([]any{fetched(r.Expires), r.Value, string(r.Kind)}, r.older()...)...)
	if err != nil || n > 0 {
		return err
	}
	// A newer one, or none. A table of the class's users may have no key, so nothing
	// but locks keeps two of us from adding a row each: at this level the search
	// locks what it did not find, and one of the two is refused.
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

// isNumber reports whether the server gave one of these as its error.
func isNumber(err error, numbers ...uint16) bool {
	var said *mysql.MySQLError
	if !errors.As(err, &said) {
		return false
	}
	for _, n := range numbers {
		if said.Number == n {
			return true
		}
	}
	return false
}
