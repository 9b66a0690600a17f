package sim

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// No reader notices that a wall clock jumps, in one sidecar or in all, and back after
// three hours. Each jump costs one request at most, and so does each renewal while the
// clocks differ: a sidecar that is three hours ahead takes a new token for expired.
//
// With -v each case prints a row of the table in docs/benchmarks.md.
func TestClock_Jumps(t *testing.T) {
	t.Parallel()
	jumped, back := long(3*time.Hour), long(2*time.Hour)
	for _, jump := range []time.Duration{10 * time.Minute, 3 * time.Hour} {
		for _, of := range []int{1, 5} {
			for _, by := range []time.Duration{jump, -jump} {
				t.Run(fmt.Sprintf("%d_of_5_by_%s", of, by), func(t *testing.T) {
					t.Parallel()
					w := simulate(t, 12, wechat.Token, 5, 10, func(ctx context.Context, w *world) {
						sleep(ctx, 100*time.Minute)
						end := w.judge.begin(clockTrouble)
						w.jump(of, by)
						sleep(ctx, jumped)
						w.jump(of, -by)
						sleep(ctx, back)
						end()
					})
					assert.Zero(t, w.judge.invalid, "reads of invalid tokens")
					assert.Zero(t, w.judge.failures, "reads without a token")
					calls := w.wechat.Requests("", "")
					planned := 1 + int((100*time.Minute+jumped+back)/(3300*time.Second))
					const jumps, renewals = 2, 4
					assert.LessOrEqual(t, calls, planned+jumps+renewals)
					t.Logf("| %d of 5 sidecars, by %s | %d | %d | %d | %d |",
						of, by, w.judge.reads, w.judge.invalid, w.judge.failures, max(0, calls-planned))
				})
			}
		}
	}
}

// jump moves the wall clocks of so many sidecars.
func (w *world) jump(pods int, by time.Duration) {
	for _, p := range w.pods[:pods] {
		p.skew.Add(int64(by))
	}
}
