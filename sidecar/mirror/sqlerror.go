package mirror

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/go-sql-driver/mysql"
)

// Numbers of errors that are no failure yet.
const (
	duplicate   = 1062
	noSuchTable = 1146
	deadlock    = 1213
)

const (
	hintServer  = "check that the database runs, the address in MIRROR_MYSQL_DSN, and the NetworkPolicy"
	hintLogin   = "check user and password in MIRROR_MYSQL_DSN; MIRROR_MYSQL_DSN_FILE is read again at the next try"
	hintGrants  = "GRANT SELECT, INSERT, UPDATE on the table of MIRROR_MYSQL_TABLE to this user, and CREATE where it is not there yet"
	hintColumns = "the table of MIRROR_MYSQL_TABLE needs the columns id, type, expire and value; others need a default"
	hintRoom    = "make room on the database's disk"
	hintLoad    = "the database has too many connections or too little memory: raise max_connections, or find who holds them"
	hintLocked  = "find the transaction that holds the table: SHOW FULL PROCESSLIST"
	hintReplica = "name the primary in MIRROR_MYSQL_DSN: this server takes no writes"
	hintTLS     = "the DSN says how the database is trusted: tls=true with its CA in the folder of SSL_CERT_DIR, or tls=skip-verify, or no tls"
)

// numbers are the errors of a server that say what to do. whole: it is about the
// server, not about one table. silent: the message quotes what was written.
var numbers = map[uint16]struct {
	hint          string
	whole, silent bool
}{
	1021:        {hint: hintRoom, whole: true},
	1040:        {hint: hintLoad, whole: true},
	1041:        {hint: hintLoad, whole: true},
	1044:        {hint: hintGrants, whole: true},
	1045:        {hint: hintLogin, whole: true},
	1049:        {hint: "create the database that MIRROR_MYSQL_DSN names", whole: true},
	1053:        {hint: hintServer, whole: true},
	1054:        {hint: hintColumns},
	duplicate:   {hint: "another row of the table of MIRROR_MYSQL_TABLE has this row's key: access_token has the id 1, jsapi_ticket 2", silent: true},
	1114:        {hint: hintRoom},
	1129:        {hint: "unblock this host: FLUSH HOSTS", whole: true},
	1130:        {hint: "allow the user of MIRROR_MYSQL_DSN to come from this host", whole: true},
	1142:        {hint: hintGrants},
	1143:        {hint: hintGrants},
	noSuchTable: {hint: hintGrants},
	1193:        {hint: "a parameter of MIRROR_MYSQL_DSN is no variable of this server", whole: true, silent: true},
	1203:        {hint: hintLoad, whole: true},
	1205:        {hint: hintLocked},
	deadlock:    {hint: hintLocked},
	1226:        {hint: hintLoad, whole: true},
	1290:        {hint: hintReplica, whole: true},
	1364:        {hint: hintColumns},
	1406:        {hint: "make room for what is longer: ALTER TABLE … MODIFY `value` varchar(2048) NOT NULL"},
	1698:        {hint: hintLogin, whole: true},
	1836:        {hint: hintReplica, whole: true},
	1927:        {hint: hintServer, whole: true},
	3159:        {hint: hintTLS, whole: true},
}

// unreachable is why there is no connection.
func (t *table) unreachable(err error) error {
	f := t.failure(err, job{})
	f.whole = true
	return f
}

// failure says what to do about what driver or server said.
func (t *table) failure(err error, j job) *failure {
	var own *failure
	var said *mysql.MySQLError
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &said):
		known, ok := numbers[said.Number]
		if !ok || known.silent {
			// What is not known may quote what was written.
			f := &failure{what: fmt.Sprintf("error %d of the database", said.Number), hint: known.hint, whole: known.whole}
			if !ok {
				f.hint = "look the number up in the database's manual"
			}
			return f
		}
		return &failure{t.connector.without(fmt.Sprintf("error %d: %s", said.Number, said.Message), j.Value, j.before), known.hint, known.whole}
	case errors.As(err, &untrusted), errors.Is(err, mysql.ErrNoTLS):
		return &failure{t.connector.without(err.Error()), hintTLS, true}
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{fmt.Sprintf("no answer within %s", writePatience), hintServer, true}
	}
	return &failure{t.connector.without(err.Error(), j.Value, j.before), hintServer, true}
}
