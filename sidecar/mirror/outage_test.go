package mirror_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/mirror"
	"github.com/wxsidecar/wxsidecar/sidecar/mirror/mirrortest"
)

// changeMany calls Changed many times, and returns the newest. No call can wait: it
// would hold the keeper's lock. The bound is far above the time on a busy machine, and
// far below a database's timeouts.
func changeMany(t *testing.T, m *running, from int) (newest func(table func(int) bool) bool) {
	t.Helper()
	began := time.Now()
	for n := range 1000 {
		m.Changed(change(from+n, inTwoHours().Add(time.Duration(from+n)*time.Second)))
	}
	assert.Less(t, time.Since(began), time.Second, "1,000 changes, while the database does not answer")
	assert.LessOrEqual(t, mirror.Waiting(m.Mirror), 1, "only the newest waits")
	return func(in func(int) bool) bool { return in(from + 999) }
}

// A frozen or killed database blocks nothing, and the row follows once it is back.
func TestOutage_FrozenOrKilled(t *testing.T) {
	t.Parallel()
	server := must(mirrortest.Start())(t)
	t.Cleanup(func() { assert.NoError(t, server.Close()) })
	name, db := newDatabaseOn(t, server)
	db.SetMaxIdleConns(0)
	m := run(t, mirror.Config{DSN: dsnOf(server.DSN(name))})
	in := func(n int) bool { return holds(db, "wx_token", change(n, time.Time{})) }
	m.Changed(change(0, inTwoHours()))
	eventually(t, func() bool { return in(0) }, "written")

	for i, c := range []struct {
		name       string
		stop, heal func() error
		says       string
	}{
		{"SIGSTOP", server.Freeze, server.Thaw, "no answer within 5s"},
		{"SIGKILL", func() error { server.Kill(); return nil }, server.Run, "connect: "},
	} {
		require.NoError(t, c.stop(), c.name)
		newest := changeMany(t, m, 1000*(i+1))
		eventually(t, func() bool { return len(m.log.lines(t, fails)) == i+1 }, "logged, "+c.name)
		s := state(t, m)
		assert.Contains(t, s.Error, c.says, c.name)
		assert.Equal(t, hint.Database, s.Hint, c.name)
		assert.Equal(t, s.Hint.English, m.log.lines(t, fails)[i]["hint"], c.name)
		require.NoError(t, c.heal(), c.name)
		eventually(t, func() bool { return newest(in) && state(t, m).Up() }, "healed, "+c.name)
		eventually(t, func() bool { return len(m.log.lines(t, works)) == i+1 }, "recovery logged, "+c.name)
	}
	assert.Len(t, m.log.lines(t, fails), 2, "one line for each outage")

	require.NoError(t, server.Freeze())
	m.Changed(change(9999, inTwoHours().Add(9999*time.Second)))
	tried := len(m.log.lines(t, once))
	began := time.Now()
	m.stop()
	assert.Less(t, time.Since(began), 2*time.Second, "it ends at once, although a write can take 5 s")
	assert.Len(t, m.log.lines(t, once), tried, "and this is not a failure")
}

// A value that is too long is a failure, and is not cut.
func TestOutage_TooLongValueIsNotCut(t *testing.T) {
	t.Parallel()
	name, db := newDatabase(t, keyless, "INSERT INTO wx_token VALUES (1, 'access_token', '5', 'theirs')")
	// Older servers are configured to cut values that are too long.
	m := run(t, mirror.Config{DSN: dsnOf(mariadb.DSN(name) + "?sql_mode=%27NO_ENGINE_SUBSTITUTION%27")})
	mine := change(1, inTwoHours())
	mine.Value += strings.Repeat("y", 600)
	m.Changed(mine)
	eventually(t, func() bool { return len(m.log.lines(t, fails)) == 1 }, "logged")
	s := state(t, m)
	assert.Contains(t, s.Error, "Data too long for column 'value'")
	assert.Equal(t, hint.Wider, s.Hint)
	var value string
	require.NoError(t, db.QueryRow("SELECT value FROM wx_token").Scan(&value))
	assert.Equal(t, "theirs", value)
	execute(t, db, "ALTER TABLE wx_token MODIFY `value` varchar(2048) NOT NULL") // the hint
	eventually(t, func() bool { return holds(db, "wx_token", mine) }, "written after the hint was followed")
	eventually(t, func() bool { return len(m.log.lines(t, works)) == 1 }, "recovery logged")
}

// A full table is tried again until there is room. A full disk has the same error
// number, 1114. No other mirror waits.
func TestOutage_FullTable(t *testing.T) {
	t.Parallel()
	name, db := newDatabase(t, keyless+" ENGINE=MEMORY MAX_ROWS=1", strings.Replace(keyless, "wx_token", "other", 1))
	other := inTable(t, name, "other")
	var full error
	for full == nil {
		_, full = db.Exec("INSERT INTO wx_token VALUES (9, 'junk', '', '')")
	}
	require.ErrorContains(t, full, "1114")
	m := run(t, mirror.Config{DSN: dsnOf(mariadb.DSN(name))})
	mine := change(1, inTwoHours())
	m.Changed(mine)
	other.Changed(mine)
	eventually(t, func() bool { return len(m.log.lines(t, fails)) == 1 }, "logged")
	assert.Contains(t, state(t, m).Error, "error 1114")
	assert.Equal(t, hint.DiskFull, state(t, m).Hint)
	eventually(t, func() bool { return holds(db, "other", mine) }, "other mirrors write meanwhile")
	execute(t, db, "DELETE FROM wx_token WHERE type = 'junk'")
	eventually(t, func() bool { return holds(db, "wx_token", mine) && state(t, m).Up() }, "written once there is room")
	assert.Len(t, m.log.lines(t, fails), 1, "one line for the outage")
}

// No message of the server shows a credential. Messages can quote the value: here a
// duplicate key, and a trigger that shows it.
func TestOutage_ShowsNoCredential(t *testing.T) {
	t.Parallel()
	for says, table := range map[string][]string{
		"error 1062": {
			"CREATE TABLE wx_token (id int, type varchar(20), expire varchar(16), value varchar(600), UNIQUE (id), UNIQUE (value))",
			"INSERT INTO wx_token VALUES (2, 'access_token', '5', 'x'), (1, 'another', '', '" + token(1) + "')",
		},
		"error 1644": {
			keyless, "INSERT INTO wx_token VALUES (1, 'access_token', '5', 'x')",
			"CREATE TRIGGER t BEFORE UPDATE ON wx_token FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = NEW.value",
		},
		"error 1054: Unknown column": {"CREATE TABLE wx_token (id int, type varchar(20), token varchar(600))"},
		"error 1142: CREATE command": nil, // no table
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			name, db := newDatabase(t, table...)
			dsn := mariadb.DSN(name)
			if table == nil {
				execute(t, db, "CREATE USER short@localhost")
				execute(t, db, "GRANT SELECT, INSERT, UPDATE ON "+name+".* TO short@localhost")
				dsn = strings.Replace(dsn, "root@", "short@", 1)
			}
			m := run(t, mirror.Config{DSN: dsnOf(dsn)})
			m.Changed(change(1, inTwoHours()))
			eventually(t, func() bool { return len(m.log.lines(t, fails)) == 1 }, "logged")
			assert.Contains(t, state(t, m).Error, says)
			assert.NotEmpty(t, state(t, m).Hint)
		})
	}
}

// TLS is used as the DSN says.
func TestOutage_TLS(t *testing.T) {
	t.Parallel()
	name, db := newDatabase(t)
	execute(t, db, "CREATE USER "+name+"@127.0.0.1 IDENTIFIED BY 'canarysecret @:/?' REQUIRE SSL")
	execute(t, db, "GRANT ALL ON "+name+".* TO "+name+"@127.0.0.1")
	at := func(password, host, parameters string) string {
		return name + ":" + password + "@tcp(" + strings.Replace(mariadb.Address(), "127.0.0.1", host, 1) + ")/" + name + parameters
	}
	const password = "canarysecret @:/?"
	for i, c := range []struct{ name, dsn, says, hint string }{
		{"its certificate is trusted", at(password, "127.0.0.1", "?tls=true"), "", ""},
		{"nothing is checked", at(password, "localhost", "?tls=skip-verify"), "", ""},
		{"another name than the certificate's", at(password, "localhost", "?tls=true"), "certificate is not valid", "SSL_CERT_DIR"},
		{"no TLS", at(password, "127.0.0.1", ""), "error 1045", "check user and password"},
		{"a wrong password", at("canarysecretwrong", "127.0.0.1", "?tls=true"), "error 1045: Access denied", "check user and password"},
		{"no such database", at(password, "127.0.0.1", "gone?tls=true"), "error 104", "MIRROR_MYSQL_"},
		{"an unknown parameter", at(password, "127.0.0.1", "?tls=true&canarysecret=1"), "database error 1193", "is not a variable of this server"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := run(t, mirror.Config{DSN: dsnOf(c.dsn), Table: "t" + string(rune('0'+i))})
			mine := change(1, inTwoHours())
			m.Changed(mine)
			if c.says == "" {
				eventually(t, func() bool { return holds(db, "t"+string(rune('0'+i)), mine) }, "written")
				return
			}
			eventually(t, func() bool { return len(m.log.lines(t, fails)) == 1 }, "logged")
			assert.Contains(t, strings.ReplaceAll(state(t, m).Error, "canarysecret", "…"), c.says)
			assert.Contains(t, state(t, m).Hint.English, c.hint)
		})
	}
}

// A rotated password needs no restart: the file is read for every connection.
func TestDSN_ReadForEachConnection(t *testing.T) {
	t.Parallel()
	name, db := newDatabase(t)
	execute(t, db, "CREATE USER "+name+"@localhost IDENTIFIED BY 'canarysecretnew'")
	execute(t, db, "GRANT ALL ON "+name+".* TO "+name+"@localhost")
	var dsn atomic.Pointer[string]
	set := func(password string) {
		text := strings.Replace(mariadb.DSN(name), "root@", name+":"+password+"@", 1)
		dsn.Store(&text)
	}
	m := run(t, mirror.Config{DSN: func() (string, error) {
		if text := dsn.Load(); text != nil {
			return *text, nil
		}
		return "", errors.New("cannot be read: no such file or directory")
	}})
	mine := change(1, inTwoHours())
	m.Changed(mine)
	eventually(t, func() bool { return !state(t, m).Up() }, "failing")
	assert.Contains(t, state(t, m).Error, "the DSN cannot be read: no such file")
	set("canarysecretold")
	eventually(t, func() bool { return strings.Contains(state(t, m).Error, "error 1045") }, "failing")
	set("canarysecretnew")
	eventually(t, func() bool { return holds(db, "wx_token", mine) }, "written")
}
