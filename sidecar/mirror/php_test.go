package mirror_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/mirror"
)

// legacy is a program with the class. It reads the stored token, or requests one by the
// class's rule. It prints which, and never the token. NOW replaces time().
const legacy = `
$now = (int)getenv('NOW');
if (getenv('SOCKET')) {
    $db = new mysqli('localhost', 'root', '', getenv('DATABASE'), 0, getenv('SOCKET'));
    $row = $db->query("SELECT * FROM wx_token WHERE type = '" . getenv('TYPE') . "'")->fetch_assoc();
    $token = $row['value'];
    $fetched = $row['expire'];
} else {
    $data = json_decode(file_get_contents(getenv('JSON')));
    $token = $data->access_token;
    $fetched = $data->expires_time;
}
echo $now > $fetched + 3600 ? 'fetches' : 'uses ' . substr(hash('sha256', $token), 0, 8);
`

// does returns what the legacy program does with this environment.
func does(t *testing.T, environ ...string) string {
	t.Helper()
	php := exec.Command("php", "-d", "error_reporting=-1", "-d", "display_errors=1", "-r", legacy)
	php.Env = append(os.Environ(), environ...)
	out, err := php.CombinedOutput()
	require.NoError(t, err, "is php installed, and its mysqli? run .ci/setup\n%s", out)
	return strings.TrimSpace(string(out))
}

// By its own rule, the class requests a token one minute before the expiry, and not
// earlier.
func TestPHP_FetchesInTheLastMinuteOnly(t *testing.T) {
	t.Parallel()
	name, db := newDatabase(t)
	path := filepath.Join(t.TempDir(), "access_token.json")
	m := run(t, mirror.Config{File: path, DSN: dsnOf(mariadb.DSN(name))})
	mine := change(1, inTwoHours())
	ticket := mine
	ticket.Kind = "jsapi_ticket"
	m.Changed(mine)
	m.Changed(ticket)
	eventually(t, func() bool { return !waits(m) }, "written")
	for says, where := range map[string][]string{
		"file": {"JSON=" + path}, "token's row": {"SOCKET=" + mariadb.Socket(), "DATABASE=" + name, "TYPE=access_token"},
		"ticket's row": {"SOCKET=" + mariadb.Socket(), "DATABASE=" + name, "TYPE=jsapi_ticket"},
	} {
		for before, want := range map[int64]string{
			7200: "uses " + rowOf(mine).Fingerprint, 61: "uses " + rowOf(mine).Fingerprint, 60: "uses " + rowOf(mine).Fingerprint,
			59: "fetches", -1: "fetches",
		} {
			got := does(t, append(where, fmt.Sprintf("NOW=%d", mine.Expires.Unix()-before))...)
			assert.Equal(t, want, got, "%s, %d s before the expiry", says, before)
		}
	}
	assert.Len(t, rows(t, db, "wx_token"), 2)
}
