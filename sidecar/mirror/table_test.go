package mirror_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/mirror"
)

// A missing table is created.
func TestTable_CreatedIfMissing(t *testing.T) {
	t.Parallel()
	name, db := newDatabase(t)
	m := inTable(t, name, "")
	mine := change(1, inTwoHours())
	ticket := mine
	ticket.Kind, ticket.Value = memcache.JSAPITicket, token(2)
	card := mine
	card.Kind = memcache.WXCardTicket
	m.Changed(card)
	m.Changed(mine)
	m.Changed(ticket)
	eventually(t, func() bool { return holds(db, "wx_token", mine) && holds(db, "wx_token", ticket) }, "both rows")
	assert.Equal(t, []line{rowOf(mine), rowOf(ticket)}, rows(t, db, "wx_token"), "and no row for a card ticket")

	var table, engine string
	require.NoError(t, db.QueryRow("SHOW CREATE TABLE wx_token").Scan(&table, &engine))
	for _, part := range []string{"`id` int", "`type` varchar(20)", "`expire` varchar(16)", "`value` varchar(600)", "PRIMARY KEY (`id`)", "ENGINE=InnoDB"} {
		assert.Contains(t, engine, part)
	}
	assert.True(t, state(t, m).Up())
	assert.Empty(t, m.log.String())
}

// A renewal is one statement.
func TestTable_OneStatementPerRenewal(t *testing.T) {
	t.Parallel()
	name, db := newDatabase(t)
	m := inTable(t, name, "")
	first := change(1, inTwoHours())
	m.Changed(first)
	eventually(t, func() bool { return holds(db, "wx_token", first) }, "the first")
	execute(t, db, "CREATE TABLE log (n int)")
	execute(t, db, "CREATE TRIGGER one BEFORE UPDATE ON wx_token FOR EACH ROW INSERT INTO log VALUES (1)")
	execute(t, db, "CREATE TRIGGER none BEFORE INSERT ON wx_token FOR EACH ROW INSERT INTO log VALUES (2)")
	second := change(2, inTwoHours().Add(time.Hour))
	m.Changed(second)
	eventually(t, func() bool { return holds(db, "wx_token", second) }, "the second")
	m.stop()
	var n, kind int
	require.NoError(t, db.QueryRow("SELECT COUNT(*), MAX(n) FROM log").Scan(&n, &kind))
	assert.Equal(t, [2]int{1, 1}, [2]int{n, kind}, "one update, no insert")
}

// An older or unreadable row is overwritten: rows of legacy programs, people and
// accidents.
func TestTable_OlderOrUnreadableRow(t *testing.T) {
	t.Parallel()
	for says, row := range map[string]string{
		"an older one":           "1, 'access_token', '1700000000', 'x'",
		"no time":                "1, 'access_token', '', 'x'",
		"NULL":                   "1, 'access_token', NULL, NULL",
		"text for a time":        "1, 'access_token', 'yesterday', 'x'",
		"a time and a line end":  "1, 'access_token', '99999999999\n', 'x'",
		"a time of milliseconds": "1, 'access_token', '1763811900123', 'x'",
		"a negative time":        "1, 'access_token', '-5', 'x'",
		"an empty value":         "1, 'access_token', '4000000000', ''",
		"another id":             "7, 'access_token', '0', 'x'",
		"no id":                  "NULL, 'access_token', '0', 'x'",
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			name, db := newDatabase(t, keyless, "INSERT INTO wx_token VALUES ("+row+")", "INSERT INTO wx_token VALUES (2, 'jsapi_ticket', '5', 'theirs')")
			m := inTable(t, name, "")
			mine := change(1, inTwoHours())
			m.Changed(mine)
			eventually(t, func() bool { return holds(db, "wx_token", mine) }, says)
			var n, theirs int
			require.NoError(t, db.QueryRow("SELECT COUNT(*), SUM(value = 'theirs' AND expire = '5') FROM wx_token").Scan(&n, &theirs))
			assert.Equal(t, [2]int{2, 1}, [2]int{n, theirs}, "no other row, and the ticket's row is unchanged")
			assert.Empty(t, m.log.String())
		})
	}
}

// A table without a key gets one row.
func TestTable_WithoutAKey(t *testing.T) {
	t.Parallel()
	name, db := newDatabase(t, keyless)
	m := inTable(t, name, "")
	mine := change(1, inTwoHours())
	for range 3 { // as after an account was removed and added
		m.SetAccounts(nil)
		m.SetAccounts([]string{appID})
		m.Changed(mine)
		eventually(t, func() bool { return holds(db, "wx_token", mine) }, "the row")
	}
	m.stop()
	assert.Equal(t, []line{rowOf(mine)}, rows(t, db, "wx_token"))
}

// A newer row stays.
func TestTable_NewerRowStays(t *testing.T) {
	t.Parallel()
	name, db := newDatabase(t, keyless)
	newer := change(2, inTwoHours())
	execute(t, db, "INSERT INTO wx_token VALUES (1, 'access_token', ?, ?)", newer.Expires.Unix()-3660, newer.Value)
	m := inTable(t, name, "")
	older := change(1, newer.Expires.Add(-time.Second))
	older.Kind = memcache.JSAPITicket
	m.Changed(change(1, newer.Expires.Add(-time.Second)))
	m.Changed(older) // its row shows that the other was tried before
	eventually(t, func() bool { return len(rows(t, db, "wx_token")) == 2 && !waits(m) }, "both tried")
	m.stop()
	assert.Equal(t, []line{rowOf(newer), rowOf(older)}, rows(t, db, "wx_token"))
}

// waits reports whether a mirror has unwritten credentials.
func waits(m *running) bool { return mirror.Waiting(m.Mirror) > 0 }

// A token that expires sooner replaces the one before it. WeChat's stable_token can
// return such an older token.
func TestTable_TokenThatExpiresSooner(t *testing.T) {
	t.Parallel()
	name, db := newDatabase(t, keyless)
	m := inTable(t, name, "")
	first := change(1, inTwoHours())
	m.Changed(first)
	eventually(t, func() bool { return holds(db, "wx_token", first) }, "the first")
	second := change(2, first.Expires.Add(-time.Hour))
	m.Changed(second)
	eventually(t, func() bool { return holds(db, "wx_token", second) }, "the second")
	m.stop()
	assert.Equal(t, []line{rowOf(second)}, rows(t, db, "wx_token"))
}

// A sidecar that did not renew repairs the row later.
func TestTable_OthersRepairLater(t *testing.T) {
	t.Parallel()
	name, db := newDatabase(t, keyless, "INSERT INTO wx_token VALUES (1, 'access_token', '1700000000', 'x')")
	m := inTable(t, name, "")
	began := time.Now()
	mine := change(1, inTwoHours())
	mine.Own = false
	m.Changed(mine)
	eventually(t, func() bool { return holds(db, "wx_token", mine) }, "repaired")
	assert.GreaterOrEqual(t, time.Since(began), 3*time.Second, "after the sidecar that renewed")
}

// A sidecar that did not renew only reads a good row.
func TestTable_OthersOnlyReadAGoodRow(t *testing.T) {
	t.Parallel()
	name, db := newDatabase(t, keyless)
	mine := change(1, inTwoHours())
	execute(t, db, "INSERT INTO wx_token VALUES (1, 'access_token', ?, ?)", mine.Expires.Unix()-3660, mine.Value)
	execute(t, db, "CREATE USER reader@localhost")
	execute(t, db, "GRANT SELECT ON "+name+".wx_token TO reader@localhost")
	m := run(t, mirror.Config{DSN: dsnOf(strings.Replace(mariadb.DSN(name), "root@", "reader@", 1))})
	mine.Own = false
	m.Changed(mine)
	eventually(t, func() bool { return !waits(m) }, "checked")
	assert.True(t, state(t, m).Up(), "SELECT was enough")
	assert.Empty(t, m.log.String())
}

// With a placeholder, each account has a table.
func TestTable_OnePerAccount(t *testing.T) {
	t.Parallel()
	name, db := newDatabase(t)
	m := inTable(t, name, "wx_{appid}")
	m.SetAccounts([]string{"wx-1", "wx2"})
	one, two := change(1, inTwoHours()), change(2, inTwoHours())
	one.AppID, two.AppID = "wx-1", "wx2"
	m.Changed(one)
	m.Changed(two)
	eventually(t, func() bool { return holds(db, "wx_wx-1", one) && holds(db, "wx_wx2", two) }, "both")
	assert.Len(t, rows(t, db, "wx_wx-1"), 1)

	long := change(3, inTwoHours())
	long.AppID = strings.Repeat("w", 64)
	m.SetAccounts([]string{"wx-1", "wx2", long.AppID})
	m.Changed(long)
	eventually(t, func() bool { return !state(t, m).Up() }, "one fails")
	assert.Contains(t, state(t, m).Error, "more than 64 characters")
	assert.Equal(t, hint.TableName, state(t, m).Hint)
	two.Value, two.Number, two.Expires = token(4), 4, two.Expires.Add(time.Second)
	m.Changed(two)
	eventually(t, func() bool { return holds(db, "wx_wx2", two) }, "the others continue")
	m.SetAccounts([]string{"wx-1", "wx2"})
	assert.True(t, state(t, m).Up(), "a removed account is not reported")
}
