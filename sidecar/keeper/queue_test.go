package keeper

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// queueTest is a queue under test, and what its jobs recorded.
type queueTest struct {
	*queue
	t     *testing.T
	began time.Time
	work  sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	runs    []queueRun
	running int
	most    int // jobs that ran at the same time
}

// queueRun is one call of a job's run.
type queueRun struct {
	job      int
	at       time.Duration
	stopping bool
}

// withQueue runs test with a queue in virtual time. At the end it closes the queue
// and waits for its goroutines.
func withQueue(t *testing.T, test func(q *queueTest)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		q := &queueTest{t: t, began: time.Now()}
		q.queue = newQueue(&q.work)
		test(q)
		q.close()
		q.work.Wait()
		assert.Zero(t, q.running)
	})
}

// job returns a job that takes so long and records its runs under a number.
func (q *queueTest) job(number int, takes time.Duration) *job {
	return &job{run: func(stopping bool) {
		q.mu.Lock()
		q.runs = append(q.runs, queueRun{number, time.Since(q.began), stopping})
		q.running++
		q.most = max(q.most, q.running)
		q.mu.Unlock()
		if takes > 0 && !stopping {
			time.Sleep(takes)
		}
		q.mu.Lock()
		defer q.mu.Unlock()
		q.running--
	}}
}

// addMany adds jobs 0 to n-1.
func (q *queueTest) addMany(n int, takes time.Duration) []*job {
	q.t.Helper()
	jobs := make([]*job, n)
	for i := range jobs {
		jobs[i] = q.job(i, takes)
		require.True(q.t, q.add(jobs[i]))
	}
	return jobs
}

// ran returns the runs up to now.
func (q *queueTest) ran() []queueRun {
	synctest.Wait()
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]queueRun(nil), q.runs...)
}

// mostAtATime returns how many jobs ran at the same time.
func (q *queueTest) mostAtATime() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.most
}

// 50 jobs begin at once, the others in their order and 20 ms apart.
func TestQueue_KeepsPaceAndOrder(t *testing.T) {
	withQueue(t, func(q *queueTest) {
		q.addMany(200, 0)
		time.Sleep(10 * time.Second)
		runs := q.ran()
		require.Len(q.t, runs, 200)
		for i, run := range runs {
			assert.Equal(q.t, max(0, time.Duration(i-49))*20*time.Millisecond, run.at, "job %d", i)
			if i >= 50 { // those that begin in the same instant run in any order
				assert.Equal(q.t, i, run.job)
			}
		}
	})
}

// Unused turns are kept for a second, so no second has more than 100 starts.
func TestQueue_StartsAtMost100InASecond(t *testing.T) {
	withQueue(t, func(q *queueTest) {
		for range 6 {
			q.addMany(120, 0)
			time.Sleep(1700 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		runs := q.ran()
		require.Len(q.t, runs, 720)
		for i := range runs[:len(runs)-100] {
			assert.GreaterOrEqual(q.t, runs[i+100].at-runs[i].at, time.Second, "job %d", i)
		}
	})
}

// 32 jobs run at a time, and each that ends lets the next begin.
func TestQueue_Runs32AtATime(t *testing.T) {
	withQueue(t, func(q *queueTest) {
		q.addMany(100, time.Second)
		assert.Len(q.t, q.ran(), 32)
		assert.False(q.t, q.isIdle())
		time.Sleep(5 * time.Second)
		assert.Len(q.t, q.ran(), 100)
		assert.Equal(q.t, 32, q.mostAtATime())
		assert.True(q.t, q.isIdle())
	})
}

// A job that a caller waits for runs at once, however many run and wait. The jobs
// behind it move up, and it is not run again.
func TestQueue_RunsAwaitedJobAtOnce(t *testing.T) {
	withQueue(t, func(q *queueTest) {
		jobs := q.addMany(100, time.Second)
		q.ran()
		for range 2 {
			q.runNow(jobs[99]) // the last
			q.runNow(jobs[32]) // the next
			q.runNow(jobs[0])  // it runs
		}
		before := q.job(100, 0)
		q.runNow(before)
		assert.True(q.t, q.add(before), "awaited before it is added")
		runs := q.ran()
		assert.Len(q.t, runs, 35)
		assert.Zero(q.t, runs[34].at)
		time.Sleep(5 * time.Second)
		q.runNow(jobs[50]) // it has ended
		counts := map[int]int{}
		for _, run := range q.ran() {
			counts[run.job]++
		}
		assert.Len(q.t, counts, 101)
		assert.Len(q.t, q.ran(), 101, "once each")
	})
}

// The first job waits for its turn. If a caller begins to wait for it, the turn is the
// next job's.
func TestQueue_AwaitedJobLeavesItsTurn(t *testing.T) {
	withQueue(t, func(q *queueTest) {
		jobs := q.addMany(52, 0)
		time.Sleep(10 * time.Millisecond)
		q.runNow(jobs[50])
		time.Sleep(time.Second)
		runs := q.ran()
		require.Len(q.t, runs, 52)
		assert.Equal(q.t, queueRun{job: 50, at: 10 * time.Millisecond}, runs[50])
		assert.Equal(q.t, queueRun{job: 51, at: 20 * time.Millisecond}, runs[51])
	})
}

// A job that makes no request keeps no pace, and delays no other job.
func TestQueue_JobWithoutRequestKeepsNoPace(t *testing.T) {
	withQueue(t, func(q *queueTest) {
		for i := range 1000 {
			j := q.job(i, 0)
			j.needsTurn = func() bool { return false }
			require.True(q.t, q.add(j))
		}
		q.addMany(50, 0)
		runs := q.ran()
		assert.Len(q.t, runs, 1050)
		assert.Zero(q.t, runs[1049].at)
		assert.LessOrEqual(q.t, q.mostAtATime(), 32)
	})
}

// The queue calls needsTurn and run without its lock: both can take locks that are
// held during add.
func TestQueue_CallsJobsWithoutItsLock(t *testing.T) {
	withQueue(t, func(q *queueTest) {
		inner := q.job(1, 0)
		j := &job{
			run:       func(bool) { assert.True(q.t, q.add(inner)) },
			needsTurn: func() bool { return !q.isIdle() },
		}
		require.True(q.t, q.add(j))
		assert.Len(q.t, q.ran(), 1)
	})
}

// After close no job begins. Each that waits runs with stopping, at once, so that its
// callers are notified.
func TestQueue_CloseNotifiesWaitingJobs(t *testing.T) {
	withQueue(t, func(q *queueTest) {
		jobs := q.addMany(200, time.Second)
		assert.Len(q.t, q.ran(), 32)
		q.close()
		q.close()
		q.runNow(jobs[199])
		assert.False(q.t, q.add(q.job(200, 0)))
		runs := q.ran()
		assert.Len(q.t, runs, 200)
		for i, run := range runs {
			assert.Equal(q.t, i >= 32, run.stopping, "job %d", run.job)
			assert.Zero(q.t, run.at)
		}
		q.work.Wait()
		assert.Equal(q.t, time.Second, time.Since(q.began), "jobs that run can finish")
		assert.True(q.t, q.isIdle())
	})
}

// A job that waits for its turn does not begin after close.
func TestQueue_CloseEndsTheWaitForATurn(t *testing.T) {
	withQueue(t, func(q *queueTest) {
		q.addMany(60, 0)
		time.Sleep(50 * time.Millisecond)
		assert.Len(q.t, q.ran(), 52)
		q.close()
		runs := q.ran()
		require.Len(q.t, runs, 60)
		for _, run := range runs[52:] {
			assert.Equal(q.t, queueRun{run.job, 50 * time.Millisecond, true}, run)
		}
	})
}

// Whatever the order of add, hurry and close, each job that was added runs once.
// The WaitGroup covers all of them.
func TestQueue_RunsEachJobOnce(t *testing.T) {
	for range 200 {
		var work sync.WaitGroup
		q := newQueue(&work)
		var added, ran atomic.Int64
		var callers sync.WaitGroup
		for range 8 {
			callers.Go(func() {
				for range 20 {
					j := &job{run: func(bool) { ran.Add(1) }}
					if rand.IntN(4) == 0 {
						q.runNow(j)
					}
					if q.add(j) {
						added.Add(1)
					}
					if rand.IntN(2) == 0 {
						q.runNow(j)
					}
				}
			})
		}
		for range rand.IntN(1000) {
			runtime.Gosched()
		}
		q.close()
		work.Wait()
		callers.Wait()
		assert.Equal(t, added.Load(), ran.Load())
	}
}
