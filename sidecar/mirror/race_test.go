package mirror_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/mirror"
)

// fleet returns sidecars that write the same table. Their sessions begin at READ
// COMMITTED, where a search does not lock missing rows.
func fleet(t *testing.T, database string, sidecars int) []*running {
	t.Helper()
	all := make([]*running, sidecars)
	for i := range all {
		all[i] = run(t, mirror.Config{DSN: dsnOf(mariadb.DSN(database) + "?tx_isolation=%27READ-COMMITTED%27")})
	}
	return all
}

// Sidecars that write together insert one row in a table without a key.
func TestRace_OneRowWithoutAKey(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"InnoDB", "MyISAM"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			// Each has searched for a row long before it inserts one.
			name, db := newDatabase(t, keyless+" ENGINE="+engine, "CREATE TRIGGER slow BEFORE INSERT ON wx_token FOR EACH ROW DO SLEEP(0.05)")
			const sidecars = 4
			all := fleet(t, name, sidecars)
			holder := must(db.Conn(t.Context()))(t)
			defer func() { assert.NoError(t, holder.Close()) }()
			for round := range 3 {
				execute(t, db, "DELETE FROM wx_token")
				// All wait for the table, and get it together.
				_ = must(holder.ExecContext(t.Context(), "LOCK TABLES wx_token WRITE"))(t)
				mine := change(round, inTwoHours().Add(time.Duration(round)*time.Second))
				for _, m := range all {
					m.Changed(mine)
				}
				eventually(t, func() bool {
					var n int
					err := db.QueryRow("SELECT COUNT(*) FROM information_schema.processlist WHERE db = ? AND state LIKE 'Waiting for table%'", name).Scan(&n)
					return err == nil && n == sidecars
				}, "all wait")
				_ = must(holder.ExecContext(t.Context(), "UNLOCK TABLES"))(t)
				for _, m := range all {
					eventually(t, func() bool { return !waits(m) }, "all is written")
				}
				require.Equal(t, []line{rowOf(mine)}, rows(t, db, "wx_token"), "round %d", round)
			}
			for _, m := range all {
				assert.Empty(t, m.log.lines(t, fails), "a refused sidecar tries once more")
			}
		})
	}
}

// Sidecars that race never replace a newer credential. Each gets the same renewals in
// another order, as if writes were delayed.
func TestRace_NeverBackwards(t *testing.T) {
	t.Parallel()
	for says, tables := range map[string][]string{"without a key": {keyless}, "none yet": nil} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			name, db := newDatabase(t, tables...)
			const renewals = 8
			all := fleet(t, name, renewals)
			began := inTwoHours()
			changes := make([]keeper.Change, renewals)
			for n := range changes {
				changes[n] = change(n+1, began.Add(time.Duration(n)*10*time.Minute))
			}
			newest := make(chan struct{})
			var racing sync.WaitGroup
			for i, m := range all {
				racing.Go(func() {
					for n := range changes {
						m.Changed(changes[(n+i+1)%renewals])
						assert.Eventually(t, func() bool { return !waits(m) }, patience, time.Millisecond)
						if i == renewals-2 && n == 0 {
							close(newest)
						}
						if n == 0 {
							<-newest // the other changes are late
						}
					}
				})
			}
			racing.Wait()
			for _, m := range all {
				assert.False(t, waits(m), "all is written")
				assert.Empty(t, m.log.lines(t, fails))
			}
			assert.Equal(t, []line{rowOf(changes[renewals-1])}, rows(t, db, "wx_token"), "one row, the newest")
		})
	}
}
