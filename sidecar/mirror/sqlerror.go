package mirror

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/go-sql-driver/mysql"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
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
	hint          hint.Hint
	whole, silent bool
}{
	1021:        {hint: hint.DiskFull, whole: true},
	1040:        {hint: hint.Overload, whole: true},
	1041:        {hint: hint.Overload, whole: true},
	1044:        {hint: hint.Grants, whole: true},
	1045:        {hint: hint.Login, whole: true},
	1049:        {hint: hint.NoDatabase, whole: true},
	1053:        {hint: hint.Database, whole: true},
	1054:        {hint: hint.Columns},
	duplicate:   {hint: hint.DuplicateKey, silent: true},
	1114:        {hint: hint.DiskFull},
	1129:        {hint: hint.HostBlocked, whole: true},
	1130:        {hint: hint.HostDenied, whole: true},
	1142:        {hint: hint.Grants},
	1143:        {hint: hint.Grants},
	noSuchTable: {hint: hint.Grants},
	1193:        {hint: hint.BadParameter, whole: true, silent: true},
	1203:        {hint: hint.Overload, whole: true},
	1205:        {hint: hint.Locked},
	deadlock:    {hint: hint.Locked},
	1226:        {hint: hint.Overload, whole: true},
	1290:        {hint: hint.Replica, whole: true},
	1364:        {hint: hint.Columns},
	1406:        {hint: hint.Wider},
	1698:        {hint: hint.Login, whole: true},
	1836:        {hint: hint.Replica, whole: true},
	1927:        {hint: hint.Database, whole: true},
	3159:        {hint: hint.TLS, whole: true},
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
				f.hint = hint.Manual
			}
			return f
		}
		return &failure{t.connector.without(fmt.Sprintf("error %d: %s", said.Number, said.Message), j.Value, j.before), known.hint, known.whole}
	case errors.As(err, &untrusted), errors.Is(err, mysql.ErrNoTLS):
		return &failure{t.connector.without(err.Error()), hint.TLS, true}
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{fmt.Sprintf("no answer within %s", writePatience), hint.Database, true}
	}
	return &failure{t.connector.without(err.Error(), j.Value, j.before), hint.Database, true}
}
