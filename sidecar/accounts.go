package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/mirror"
	"github.com/wxsidecar/wxsidecar/sidecar/smallfile"
	"github.com/wxsidecar/wxsidecar/sidecar/verify"
	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
)

// scanEvery is the time between two scans of the folder.
const scanEvery = 10 * time.Second

// accounts are the account of WECHAT_APPID and those of WECHAT_ACCOUNTS_DIR.
// Only one goroutine at a time can use it.
type accounts struct {
	fixed   []*account // of WECHAT_APPID
	folder  string     // WECHAT_ACCOUNTS_DIR; "" means none
	local   bool       // WECHAT_BASE_URL is loopback: a fake WeChat, with AppIDs of any form
	tickets tickets    // WECHAT_TICKETS

	mirror   *mirror.Mirror
	memory   *memoryReleaser
	verifier *verify.Verifier // nil with an upstream
	notes    *status.Notes
	log      *slog.Logger

	unusual sync.Map        // what is unusual about an AppSecret, by its source
	files   map[string]file // the folder's, by name, as the last scan found them
	current []string        // the group's AppIDs; nil before the first scan
}

// account is an account as the keeper and as the verifier see it.
type account struct {
	kept     keeper.Account
	verified verify.Account
}

func newAccounts(cfg config, to *mirror.Mirror, memory *memoryReleaser, notes *status.Notes, verifier *verify.Verifier, log *slog.Logger) *accounts {
	a := &accounts{
		folder: cfg.AccountsDir, tickets: cfg.tickets(), mirror: to, memory: memory, log: log, local: cfg.localWeChat(), notes: notes,
		verifier: verifier, files: map[string]file{},
	}
	for _, appID := range cfg.appIDs() {
		if cfg.hasUpstream() { // no account has a Secret
			a.fixed = append(a.fixed, &account{keeper.Account{AppID: appID, Tickets: a.tickets.of(appID)}, verify.Account{AppID: appID}})
		} else {
			a.fixed = append(a.fixed, a.account(appID, cmp.Or(cfg.AppSecretFile, "WECHAT_APPSECRET"), cfg.readAppSecret))
		}
		if !a.local && !usualAppID.MatchString(appID) {
			log.Warn("AppID has an unusual form", "appid", appID, "hint", "check WECHAT_APPID: an AppID is wx and 16 letters or digits")
		}
	}
	return a
}

func (a *accounts) account(appID, source string, read func() (string, error)) *account {
	secret := a.watched(appID, source, read)
	return &account{
		keeper.Account{AppID: appID, Secret: a.memory.beforeRequest(secret), Tickets: a.tickets.of(appID)},
		verify.Account{AppID: appID, Source: source, Secret: secret},
	}
}

// readAppSecret returns the AppSecret of WECHAT_APPID.
func (c config) readAppSecret() (string, error) {
	if c.AppSecretFile == "" {
		return cleanSecret(string(c.AppSecret))
	}
	return readAccount(c.AppSecretFile)
}

// readAccount reads the AppSecret from a file. The error names the file: unlike a
// variable's value, its name is not a secret.
func readAccount(path string) (string, error) {
	text, err := readSecret(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return text, nil
}

// watched returns a function that reads an account's AppSecret, and warns of one of unusual
// form whenever it changes.
func (a *accounts) watched(appID, source string, read func() (string, error)) func() (string, error) {
	return func() (string, error) {
		secret, err := read()
		if err != nil {
			return "", err // the verifier and the keeper report it
		}
		what := unusualSecret(secret)
		if what == "" {
			a.unusual.Delete(source)
		} else if before, _ := a.unusual.Swap(source, what); before != what {
			a.log.Warn("AppSecret has an unusual form", "appid", appID, "source", source, "error", what,
				"hint", "WeChat will probably refuse it: copy it again, without anything else")
		}
		return secret, nil
	}
}

// follow scans every scanEvery until ctx ends.
func (a *accounts) follow(ctx context.Context, group *keeper.Group) error {
	tick := time.NewTicker(scanEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := a.scan(group); err != nil {
				return err
			}
		}
	}
}

// scan reads the folder, and each AppSecret whose file changed. If the folder cannot be read,
// the accounts stay: Kubernetes may be mounting the Secret again.
func (a *accounts) scan(group *keeper.Group) error {
	found, changed := slices.Clone(a.fixed), slices.Clone(a.fixed)
	if a.folder != "" {
		names, err := os.ReadDir(a.folder)
		if err != nil {
			a.noteFolder(hint.UnreadableFolder(a.folder, smallfile.WithoutPath(err)))
			if a.current != nil {
				a.verify(changed)
				return nil
			}
		} else {
			all, some := a.inFolder(names)
			found, changed = append(found, all...), append(changed, some...)
		}
	}
	a.verify(changed)
	ids := appIDs(found)
	if a.current != nil && slices.Equal(ids, a.current) {
		return nil
	}
	a.verifier.Keep(ids)
	a.mirror.SetAccounts(ids)
	kept := make([]keeper.Account, len(found))
	for i, one := range found {
		kept[i] = one.kept
	}
	if err := group.SetAccounts(kept); err != nil {
		return fmt.Errorf("set the accounts: %w", err)
	}
	a.logChanges(ids)
	a.current = ids
	return nil
}

// appIDs returns the AppIDs, sorted.
func appIDs(all []*account) []string {
	ids := make([]string, len(all))
	for i, one := range all {
		ids[i] = one.kept.AppID
	}
	slices.Sort(ids)
	return ids
}

// verify has these AppSecrets read. The next scan looks again at those that cannot be.
func (a *accounts) verify(all []*account) {
	var of []verify.Account
	for _, one := range all {
		of = append(of, one.verified)
	}
	for _, appID := range a.verifier.Scan(of) {
		delete(a.files, appID)
	}
}

// logChanges logs which accounts were added and removed.
func (a *accounts) logChanges(ids []string) {
	if len(ids) == 0 {
		a.log.Warn("no accounts configured", "hint", "put a file named after the AppID into WECHAT_ACCOUNTS_DIR")
	}
	if a.current == nil {
		for _, id := range a.tickets.named() {
			if !slices.Contains(ids, id) {
				a.log.Warn("account of WECHAT_TICKETS not found", "appid", id,
					"hint", "add a file with this name to WECHAT_ACCOUNTS_DIR")
			}
		}
		return
	}
	for _, id := range ids {
		if !slices.Contains(a.current, id) {
			a.log.Info("account added", "appid", id)
		}
	}
	for _, id := range a.current {
		if !slices.Contains(ids, id) {
			a.log.Info("account removed", "appid", id)
		}
	}
}
