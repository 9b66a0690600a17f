// Package check looks at a whole set-up before and after a rollout: memcached, WeChat, each
// AppSecret, the mirrors, and a sidecar that runs. It writes nothing to memcached and to the
// database, and WeChat issues no token of the classic API for it.
package check

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/mirror"
	"github.com/wxsidecar/wxsidecar/sidecar/upstream"
	"github.com/wxsidecar/wxsidecar/sidecar/verify"
	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// Outcome is the result of one check.
type Outcome string

const (
	// OK means that it works.
	OK Outcome = "ok"
	// Failing means that it does not work, or that apps can get errors.
	Failing Outcome = "failing"
	// Unknown means that this could not be found out, or that a person should look at it.
	Unknown Outcome = "unknown"
)

// Result is what one check found. It contains no secret.
type Result struct {
	Check   string  `json:"check"` // such as memcached 10.0.0.1:11211
	Outcome Outcome `json:"outcome"`
	Found   string  `json:"found"`
	Hint    string  `json:"hint,omitempty"` // what to do
}

// Config says what to look at. What is nil is left out.
type Config struct {
	// Store is memcached, with a timeout that tells slow from silent. Its SeveralAddresses
	// is set.
	Store *memcache.Store
	// Strict is memcached with the timeout of the sidecar, Timeout.
	Strict  *memcache.Store
	Timeout time.Duration
	// Hash is MEMCACHED_HASH, for people.
	Hash string
	// WeChat sends the requests.
	WeChat *wechat.Client
	// Upstream gives the credentials, instead of WeChat.
	Upstream *upstream.Client
	// Accounts are those whose AppSecrets are verified. With Upstream they have none.
	Accounts []verify.Account
	// Mirror are the mirrors.
	Mirror mirror.Config
	// Status is the status of a sidecar that runs.
	Status func(ctx context.Context) (status.Sidecar, error)
}

// results collects what checks find.
type results []Result

func (r *results) ok(check, found string) { *r = append(*r, Result{check, OK, found, ""}) }

func (r *results) failing(check, found, hint string) {
	*r = append(*r, Result{check, Failing, found, hint})
}

func (r *results) unknown(check, found, hint string) {
	*r = append(*r, Result{check, Unknown, found, hint})
}

// Run checks everything, and returns the results in the order in which a request passes the
// parts.
func Run(ctx context.Context, cfg Config) []Result {
	var found results
	if cfg.Store != nil {
		found.memcached(ctx, cfg)
		found.keys(cfg.Store, cfg.Hash, cfg.Accounts)
	}
	switch {
	case cfg.Upstream != nil:
		found.upstream(ctx, cfg.Upstream, cfg.Accounts)
	case cfg.WeChat != nil && found.wechat(ctx, cfg.WeChat):
		found.accounts(ctx, cfg.WeChat, cfg.Accounts)
	default:
		found.unverified(cfg.Accounts)
	}
	found.mirrors(ctx, cfg.Mirror, cfg.Accounts)
	if cfg.Status != nil {
		found.sidecar(ctx, cfg.Status)
	}
	for i := range found {
		found[i].Found, found[i].Hint = status.Printable(found[i].Found), status.Printable(found[i].Hint)
	}
	return found
}

// keys says which server has the keys of each account: apps must find the same one.
func (r *results) keys(store *memcache.Store, hash string, accounts []verify.Account) {
	on := map[string][]string{}
	for _, account := range accounts {
		if slot, err := store.Slot(account.AppID, memcache.AccessToken); err == nil { // else the configuration has it
			on[slot.Server()] = append(on[slot.Server()], account.AppID)
		}
	}
	for _, server := range slices.Sorted(maps.Keys(on)) {
		r.ok("keys", "those of "+shortened(on[server])+" are on "+server+" by MEMCACHED_HASH="+hash)
	}
}

// shown is how many AppIDs one result names.
const shown = 20

// shortened returns AppIDs as a text, which counts those after the first ones.
func shortened(appIDs []string) string {
	text := strings.Join(appIDs[:min(len(appIDs), shown)], ", ")
	if more := len(appIDs) - shown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// mirrors looks at the mirrors.
func (r *results) mirrors(ctx context.Context, cfg mirror.Config, accounts []verify.Account) {
	var appIDs []string
	for _, account := range accounts {
		appIDs = append(appIDs, account.AppID)
	}
	for _, m := range mirror.Check(ctx, cfg, appIDs) {
		if m.Up() {
			r.ok("mirror "+m.Name, "can be written")
		} else {
			r.failing("mirror "+m.Name, m.Error, m.Hint.English)
		}
	}
}
