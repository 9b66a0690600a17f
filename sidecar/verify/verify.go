// Package verify finds out whether WeChat accepts each AppSecret, long before the next
// renewal needs it. It requests stable_token, which never invalidates a token of the
// classic API, and drops the answer.
//
//   - Each content of an AppSecret is verified once per process: a changed one after the
//     scan that finds it, and one that the process started with 10 to 60 s later. A renewal
//     with the content verifies it too, and then nothing is requested.
//   - At most one request is sent per second.
//   - WeChat takes its time to accept a new AppSecret. So a refusal is only logged at first,
//     and the request repeated 1, 5 and 10 min later. After that a note says that the
//     AppSecret is wrong. What stays unknown is repeated in the same way, without a note.
//   - One that cannot be read has a note until it can.
//
// These requests are no renewals: they use up no budget, and no mark of them is written to
// memcached. The package keeps a hash of each AppSecret in memory alone.
package verify

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// Account is an account whose AppSecret is verified.
type Account struct {
	AppID string
	// Source is the file or variable that has the AppSecret, for people.
	Source string
	// Secret reads the AppSecret. Its error must not quote it.
	Secret func() (string, error)
}

// Config says how to verify. All fields but Rand are required.
type Config struct {
	// Send requests stable_token: wechat.Client.Verify.
	Send func(ctx context.Context, appID, secret string) error
	// Notes receives the notes about AppSecrets.
	Notes *status.Notes
	// Log receives a line for each change and each failure.
	Log *slog.Logger
	// Rand returns a number from 0 to 1. Nil: math/rand.
	Rand func() float64
}

// Verifier verifies AppSecrets. It is safe for concurrent use. A nil one does nothing: there are
// no AppSecrets.
type Verifier struct {
	cfg  Config
	wake chan struct{} // holds a value if something may be due

	mu      sync.Mutex // guards secrets; never held over I/O
	secrets map[string]*secret
}

// secret is what is known about an account's AppSecret.
type secret struct {
	Account
	schedule

	content content // as the last scan read it
	ahead   content // a successful renewal used it since then; zero: none did
	changed bool    // it changed, and that was not logged yet

	refusal             *wechat.Error // WeChat's last one of this content
	unreadable, refused *hint.Note    // nil: none
}

// content tells one content of an AppSecret from another: the beginning of its hash.
type content [8]byte

func contentOf(text string) content {
	sum := sha256.Sum256([]byte(text))
	return content(sum[:len(content{})])
}

// New returns a Verifier without accounts. Scan adds them, and Run sends the requests.
func New(cfg Config) *Verifier {
	if cfg.Rand == nil {
		cfg.Rand = rand.Float64
	}
	return &Verifier{cfg: cfg, wake: make(chan struct{}, 1), secrets: map[string]*secret{}}
}

// Scan reads the AppSecrets of these accounts, and plans a request for each new content. It
// returns the AppIDs whose AppSecret cannot be read.
func (v *Verifier) Scan(accounts []Account) (unreadable []string) {
	if v == nil {
		return nil
	}
	for _, account := range accounts {
		text, err := account.Secret()
		if err != nil {
			unreadable = append(unreadable, account.AppID)
		}
		v.scanned(account, text, err)
	}
	select {
	case v.wake <- struct{}{}:
	default:
	}
	return unreadable
}

func (v *Verifier) scanned(account Account, text string, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.secrets[account.AppID]
	if s == nil {
		s = &secret{}
		v.secrets[account.AppID] = s
	}
	s.Account, s.unreadable = account, nil
	if err != nil {
		note := hint.UnreadableSecret(account.AppID, err)
		s.unreadable = &note
		v.note(s)
		return
	}
	now, is := time.Now(), contentOf(text)
	if is != s.content {
		s.changed, s.refusal, s.refused = s.content != content{}, nil, nil
		s.content = is
		s.schedule = started(now, v.cfg.Rand())
		if s.changed {
			s.schedule = schedule{due: now}
		}
	}
	v.note(s)
	if s.content == s.ahead {
		v.settle(s, nil, now)
	}
	s.ahead = content{}
}

// Keep forgets all accounts but these, which are sorted.
func (v *Verifier) Keep(appIDs []string) {
	if v == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for appID, s := range v.secrets {
		if _, kept := slices.BinarySearch(appIDs, appID); !kept {
			delete(v.secrets, appID)
			s.refused, s.unreadable = nil, nil
			v.note(s)
		}
	}
}

// Used notes the result of a request for a token: a success verifies the AppSecret.
func (v *Verifier) Used(r wechat.Request, failure error) {
	if failure != nil || r.Secret == "" {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.secrets[r.AppID]
	if s == nil {
		return
	}
	if s.ahead = contentOf(r.Secret); s.ahead == s.content {
		v.settle(s, nil, time.Now())
		s.ahead = content{}
	}
}

// Run sends the requests until ctx ends.
func (v *Verifier) Run(ctx context.Context) error {
	if v == nil {
		return nil
	}
	for {
		s, at, ok := v.next()
		var alarm <-chan time.Time // nil: nothing is due
		if ok {
			alarm = time.After(time.Until(at))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-v.wake:
			continue
		case <-alarm:
		}
		v.verify(ctx, s)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(apart):
		}
	}
}

// next returns the account whose request is due first, and when it is.
func (v *Verifier) next() (account Account, at time.Time, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, s := range v.secrets {
		if s.waits() && (!ok || s.due.Before(at)) {
			account, at, ok = s.Account, s.due, true
		}
	}
	return account, at, ok
}

// verify sends the request for an account.
func (v *Verifier) verify(ctx context.Context, account Account) {
	text, err := account.Secret()
	if err != nil {
		v.postpone(account.AppID) // the next scan notes it
		return
	}
	ctx, cancel := context.WithTimeout(ctx, requestLife)
	defer cancel()
	err = v.cfg.Send(ctx, account.AppID, text)
	if errors.Is(ctx.Err(), context.Canceled) {
		return // the process ends
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.secrets[account.AppID]
	if s == nil || s.content != contentOf(text) {
		return // it was removed, or changed meanwhile: then the next scan plans another request
	}
	v.settle(s, err, time.Now())
}

// postpone waits for the next scan.
func (v *Verifier) postpone(appID string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if s := v.secrets[appID]; s != nil {
		s.due = time.Now().Add(requestLife)
	}
}
