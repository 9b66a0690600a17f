package verify_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
	"github.com/wxsidecar/wxsidecar/sidecar/verify"
	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

const (
	first  = "canarysecret-first"
	second = "canarysecret-second"
)

// world has one account, a scan every 10 s as the program has, and what was sent. It works
// in a synctest bubble.
type world struct {
	*verify.Verifier
	notes    status.Notes
	log      programtest.Output
	began    time.Time
	accounts []verify.Account

	mu     sync.Mutex // guards what follows
	secret string
	broken error           // of reading the AppSecret
	answer error           // of the next requests
	sent   []time.Duration // when requests were sent, since began
}

func newWorld(t *testing.T, r float64) *world {
	t.Helper()
	w := &world{began: time.Now(), secret: first}
	w.Verifier = verify.New(verify.Config{
		Notes: &w.notes, Log: slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Rand: func() float64 { return r },
		Send: func(context.Context, string, string) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.sent = append(w.sent, time.Since(w.began))
			return w.answer
		},
	})
	w.accounts = []verify.Account{{AppID: "wxA", Source: "/secrets/wxA", Secret: w.read}}
	w.Scan(w.accounts)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-ended)
		programtest.AssertNoCanary(t, w.log.String())
		assert.NotContains(t, w.log.String(), "canary")
	})
	return w
}

func (w *world) read() (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.secret, w.broken
}

// write writes another AppSecret, and answers says how WeChat answers from now on.
func (w *world) write(secret string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secret = secret
}

func (w *world) answers(failure error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = failure
}

// breaks says how a read of the AppSecret fails from now on.
func (w *world) breaks(failure error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = failure
}

// pass lets time pass, with a scan every 10 s.
func (w *world) pass(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(min(10*time.Second, time.Until(end)))
		synctest.Wait()
		w.Scan(w.accounts)
		synctest.Wait()
	}
}

// seconds are the whole seconds at which requests were sent.
func (w *world) seconds() []int {
	var all []int
	for _, at := range w.sent {
		all = append(all, int(at.Round(time.Second)/time.Second))
	}
	return all
}

// refusal is an answer of WeChat.
func refusal(code int) error {
	return &wechat.Error{Code: code, Message: "errmsg", Hint: hint.Account}
}

// codes are the codes of the notes.
func (w *world) codes() []string {
	var all []string
	for _, n := range w.notes.All() {
		all = append(all, n.Code)
	}
	return all
}

// An AppSecret that the process started with is verified once, 10 to 60 s later.
func TestVerify_StartedWith(t *testing.T) {
	t.Parallel()
	for r, at := range map[float64]int{0: 10, 0.5: 35, 1: 60} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, r)
			w.pass(3 * time.Hour)
			assert.Equal(t, []int{at}, w.seconds())
			assert.Empty(t, w.notes.All())
			assert.NotContains(t, w.log.String(), "level=INFO", "nothing to tell")
		})
	}
}

// A renewal with the AppSecret verifies it, so nothing is requested.
func TestVerify_UsedByARenewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		w.Used(wechat.Request{AppID: "wxA", Secret: first}, refusal(45009))
		w.Used(wechat.Request{AppID: "wxA", Token: "canarytoken"}, nil)
		w.Used(wechat.Request{AppID: "wxB", Secret: first}, nil)
		w.Used(wechat.Request{AppID: "wxA", Secret: first}, nil)
		w.pass(time.Hour)
		assert.Empty(t, w.sent)

		w.write(second)
		w.Used(wechat.Request{AppID: "wxA", Secret: second}, nil) // before the scan
		w.pass(10 * time.Minute)
		assert.Empty(t, w.sent)
		assert.Equal(t, 1, strings.Count(w.log.String(), `msg="AppSecret changed" appid=wxA source=/secrets/wxA verified=true`))

		w.write(first)
		w.pass(10 * time.Minute)
		assert.Len(t, w.sent, 1, "WeChat may have ended an earlier one")
	})
}

// A changed AppSecret is verified within 10 s, and logged once.
func TestVerify_Changed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.pass(105 * time.Second)
		require.Equal(t, []int{60}, w.seconds())
		w.Used(wechat.Request{AppID: "wxA", Secret: first}, nil)
		w.write(second)
		w.pass(time.Hour)
		assert.Equal(t, []int{60, 115}, w.seconds())
		assert.Equal(t, 1, strings.Count(w.log.String(), `level=INFO msg="AppSecret changed" appid=wxA source=/secrets/wxA verified=true`))
		w.write(first)
		w.pass(time.Minute)
		assert.Len(t, w.sent, 3, "an earlier one is verified again: WeChat may have ended it")
	})
}

// WeChat takes its time: a wrong AppSecret is noted only after requests 1, 5 and 10 min
// later, and the right one ends that.
func TestVerify_WrongIsNotedAfterTenMinutes(t *testing.T) {
	t.Parallel()
	for _, code := range []int{40001, 40125} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 0)
			w.pass(20 * time.Second)
			w.write(second)
			w.answers(refusal(code))
			w.pass(9*time.Minute + 55*time.Second)
			assert.Equal(t, []int{10, 30, 90, 330}, w.seconds())
			assert.Equal(t, 1, strings.Count(w.log.String(), fmt.Sprintf(
				`level=WARN msg="AppSecret changed" appid=wxA source=/secrets/wxA verified=false errcode=%d errmsg=errmsg`, code)))
			assert.Contains(t, w.log.String(), "next_check_seconds=60")
			assert.Empty(t, w.notes.All())
			w.pass(15 * time.Second)
			assert.Equal(t, []string{"appsecret_refused"}, w.codes())
			w.pass(3 * time.Hour)
			assert.Equal(t, []int{10, 30, 90, 330, 630}, w.seconds(), "once per content")
			assert.Equal(t, 1, strings.Count(w.log.String(), "AppSecret needs attention"))

			w.write(first)
			w.answers(nil)
			w.pass(10 * time.Second)
			assert.Empty(t, w.notes.All())
			assert.Equal(t, 1, strings.Count(w.log.String(), "verified=true"))
		})
	}
}

// A new AppSecret that WeChat accepts only after a minute is never noted.
func TestVerify_AcceptedLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		w.answers(refusal(40001))
		w.pass(30 * time.Second)
		w.answers(nil)
		w.pass(time.Hour)
		assert.Equal(t, []int{10, 70}, w.seconds())
		assert.Empty(t, w.notes.All())
		assert.Contains(t, w.log.String(), `level=INFO msg="AppSecret verified"`)
	})
}

// A frozen AppSecret and an unknown AppID are noted at once, until WeChat accepts them.
func TestVerify_FrozenIsNotedAtOnce(t *testing.T) {
	t.Parallel()
	for _, code := range []int{40243, 40013} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 0)
			w.answers(refusal(code))
			w.pass(20 * time.Second)
			assert.Equal(t, []string{"appsecret_refused"}, w.codes())
			w.answers(nil)
			w.pass(10 * time.Minute)
			assert.Empty(t, w.notes.All())
		})
	}
}

// What does not say whether the AppSecret is right is no note, and repeated three times.
func TestVerify_UnknownIsNoNote(t *testing.T) {
	t.Parallel()
	for _, answer := range []error{
		refusal(40164), refusal(45009), refusal(45011), refusal(-1), refusal(48001), refusal(99999), context.DeadlineExceeded, errors.New("no answer"),
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 0)
			w.answers(answer)
			w.pass(3 * time.Hour)
			assert.Equal(t, []int{10, 70, 310, 610}, w.seconds(), "%v", answer)
			assert.Empty(t, w.notes.All())
			assert.Equal(t, verify.Unknown, verify.OutcomeOf(answer))

			w.Used(wechat.Request{AppID: "wxA", Secret: first}, nil)
			w.pass(time.Hour)
			assert.Len(t, w.sent, 4)
		})
	}
}

// A last answer that says nothing leaves the refusals before it.
func TestVerify_RefusedThenUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		w.answers(refusal(40001))
		w.pass(9 * time.Minute)
		w.answers(refusal(-1))
		w.pass(5 * time.Minute)
		assert.Equal(t, []string{"appsecret_refused"}, w.codes())
		w.Used(wechat.Request{AppID: "wxA", Secret: first}, nil)
		assert.Empty(t, w.notes.All(), "a renewal succeeded")
	})
}

// Many accounts are verified one a second.
func TestVerify_OneASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		for i := range 199 {
			text := fmt.Sprint(first, i)
			w.accounts = append(w.accounts, verify.Account{AppID: fmt.Sprint("wx", i), Source: "file", Secret: func() (string, error) { return text, nil }})
		}
		w.Scan(w.accounts)
		w.pass(10 * time.Minute)
		require.Len(t, w.sent, 200)
		for i := range w.sent[1:] {
			assert.GreaterOrEqual(t, w.sent[i+1]-w.sent[i], time.Second)
		}
		assert.Equal(t, 209*time.Second, w.sent[199].Round(time.Second))
	})
}

// An AppSecret that cannot be read is noted by the first scan, until it can.
func TestVerify_Unreadable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		w.pass(20 * time.Second)
		w.breaks(errors.New("/secrets/wxA: permission denied"))
		w.Scan(w.accounts)
		require.Equal(t, []string{"appsecret_unreadable"}, w.codes())
		assert.Contains(t, w.notes.All()[0].Text.English, "/secrets/wxA: permission denied")
		w.pass(time.Hour)
		assert.Equal(t, 1, strings.Count(w.log.String(), "AppSecret needs attention"), "logged once")
		w.breaks(nil)
		w.pass(10 * time.Second)
		assert.Empty(t, w.notes.All())
		assert.Len(t, w.sent, 1, "it is the same")
	})
}

// A removed account has no notes and no requests.
func TestVerify_RemovedAccount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		w.answers(refusal(40013))
		w.pass(20 * time.Second)
		require.Len(t, w.notes.All(), 1)
		w.accounts = nil
		w.Keep([]string{"wxB"})
		assert.Empty(t, w.notes.All())
		w.pass(time.Hour)
		assert.Len(t, w.sent, 1)
	})
}
