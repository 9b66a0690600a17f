package mirror

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/go-sql-driver/mysql"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
)

// noSuchTable is the error number of a missing table.
const noSuchTable = 1146

// numbers are the server's errors with a known hint. whole means that the server
// fails, not only one table. silent means that the message quotes what was written.
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
	1062:        {hint: hint.DuplicateKey, silent: true},
	1114:        {hint: hint.DiskFull},
	1129:        {hint: hint.HostBlocked, whole: true},
	1130:        {hint: hint.HostDenied, whole: true},
	1142:        {hint: hint.Grants},
	1143:        {hint: hint.Grants},
	noSuchTable: {hint: hint.Grants},
	1193:        {hint: hint.BadParameter, whole: true, silent: true},
	1203:        {hint: hint.Overload, whole: true},
	1205:        {hint: hint.Locked},
	1213:        {hint: hint.Locked},
	1226:        {hint: hint.Overload, whole: true},
	1290:        {hint: hint.Replica, whole: true},
	1364:        {hint: hint.Columns},
	1406:        {hint: hint.Wider},
	1698:        {hint: hint.Login, whole: true},
	1836:        {hint: hint.Replica, whole: true},
	1927:        {hint: hint.Database, whole: true},
	3159:        {hint: hint.TLS, whole: true},
}

// unreachable returns the failure to connect.
func (t *table) unreachable(err error) error {
	f := t.failure(err, job{})
	f.whole = true
	return f
}

// failure returns a failure with a hint for an error of the driver or the server.
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
			// An unknown message can quote what was written.
			f := &failure{what: fmt.Sprintf("database error %d", said.Number), hint: known.hint, whole: known.whole}
			if !ok {
				f.hint = hint.Manual
			}
			return f
		}
		return &failure{t.connector.redact(fmt.Sprintf("database error %d: %s", said.Number, said.Message), j.Value, j.previous), known.hint, known.whole}
	case errors.As(err, &untrusted), errors.Is(err, mysql.ErrNoTLS):
		return &failure{t.connector.redact(err.Error()), hint.TLS, true}
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{fmt.Sprintf("no answer within %s", writeTimeout), hint.Database, true}
	}
	return &failure{t.connector.redact(err.Error(), j.Value, j.previous), hint.Database, true}
}
