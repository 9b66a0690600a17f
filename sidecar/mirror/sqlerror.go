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
	1049:        {hint: hintDatabase, whole: true},
	1053:        {hint: hintServer, whole: true},
	1054:        {hint: hintColumns},
	duplicate:   {hint: hintKey, silent: true},
	1114:        {hint: hintRoom},
	1129:        {hint: hintBlocked, whole: true},
	1130:        {hint: hintHost, whole: true},
	1142:        {hint: hintGrants},
	1143:        {hint: hintGrants},
	noSuchTable: {hint: hintGrants},
	1193:        {hint: hintParameter, whole: true, silent: true},
	1203:        {hint: hintLoad, whole: true},
	1205:        {hint: hintLocked},
	deadlock:    {hint: hintLocked},
	1226:        {hint: hintLoad, whole: true},
	1290:        {hint: hintReplica, whole: true},
	1364:        {hint: hintColumns},
	1406:        {hint: hintWider},
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
				f.hint = hintManual
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
