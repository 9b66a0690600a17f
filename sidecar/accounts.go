package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/mirror"
)

// scanEvery is the time between two scans of the folder.
const scanEvery = 10 * time.Second

// accounts is who is kept: the account of WECHAT_APPID, and those of the folder.
// One goroutine at a time may use it.
type accounts struct {
	fixed   []keeper.Account // of WECHAT_APPID; none or one
	folder  string           // WECHAT_ACCOUNTS_DIR; empty means none
	tickets tickets          // WECHAT_TICKETS
	mirror  *mirror.Mirror
	trim    *trim
	log     *slog.Logger

	warned map[string]string // what was warned of a file, by its name
	lost   bool              // the folder could not be read the last time
	kept   []string          // the AppIDs last told to the group; nil: none yet
}

func newAccounts(cfg config, to *mirror.Mirror, trim *trim, log *slog.Logger) *accounts {
	a := &accounts{folder: cfg.AccountsDir, tickets: cfg.tickets(), mirror: to, trim: trim, log: log, warned: map[string]string{}}
	if cfg.AppID != "" {
		a.fixed = []keeper.Account{{AppID: cfg.AppID, Secret: trim.watch(cfg.readAppSecret)}}
	}
	return a
}

// readAppSecret reads the AppSecret of WECHAT_APPID.
func (c config) readAppSecret() (string, error) {
	if c.AppSecretFile == "" {
		return cleanSecret(string(c.AppSecret))
	}
	return readAccount(c.AppSecretFile)
}

// readAccount reads the AppSecret from a file that is known to be one, so that
// its name may be told.
func readAccount(path string) (string, error) {
	text, err := readSecret(path)
	if err != nil {
		return "", fmt.Errorf("%s %w", path, err)
	}
	return text, nil
}

// follow scans the folder every 10 s until ctx ends.
func (a *accounts) follow(ctx context.Context, group *keeper.Group) error {
	if a.folder == "" {
		<-ctx.Done()
		return nil
	}
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

// scan reads the folder once. One that cannot be read changes nothing: a
// Secret that is being mounted anew takes no token away.
func (a *accounts) scan(group *keeper.Group) error {
	found := slices.Clone(a.fixed)
	if a.folder != "" {
		names, err := os.ReadDir(a.folder)
		if err != nil {
			if !a.lost {
				a.lost = true
				a.log.Warn("the folder of accounts cannot be read: the accounts stay as they are", "folder", a.folder,
					"error", bare(err), "hint", "is the Secret still mounted at WECHAT_ACCOUNTS_DIR?")
			}
			if a.kept != nil {
				return nil
			}
		} else {
			a.lost = false
			found = append(found, a.inFolder(names)...)
		}
	}
	ids := make([]string, len(found))
	for i := range found {
		ids[i] = found[i].AppID
		found[i].Tickets = a.tickets.of(ids[i])
	}
	slices.Sort(ids)
	if a.kept != nil && slices.Equal(ids, a.kept) {
		return nil
	}
	a.mirror.Keep(ids)
	if err := group.SetAccounts(found); err != nil {
		return fmt.Errorf("set the accounts: %w", err)
	}
	a.tell(ids)
	a.kept = ids
	return nil
}

// inFolder is the accounts of the folder's files.
func (a *accounts) inFolder(names []os.DirEntry) []keeper.Account {
	var found []keeper.Account
	warned := make(map[string]string)
	for _, entry := range names {
		name := entry.Name()
		if strings.HasPrefix(name, ".") { // Kubernetes' own ..data among them
			continue
		}
		path := filepath.Join(a.folder, name)
		if bad := a.refuse(name, path); bad != "" {
			if a.warned[name] != bad {
				a.log.Warn("a file in the folder of accounts is no account", "file", path, "error", bad,
					"hint", "a file is named after the AppID and holds the AppSecret")
			}
			warned[name] = bad
			continue
		}
		found = append(found, keeper.Account{AppID: name, Secret: a.trim.watch(func() (string, error) { return readAccount(path) })})
	}
	a.warned = warned // what was mended may be warned of again
	return found
}

// refuse says why a file is no account; empty where it is one.
func (a *accounts) refuse(name, path string) string {
	if !memcache.ValidAppID(name) {
		return "its name is not an AppID"
	}
	if slices.ContainsFunc(a.fixed, func(own keeper.Account) bool { return own.AppID == name }) {
		return "WECHAT_APPID names this account too, and goes first"
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return bare(err)
	case !info.Mode().IsRegular():
		return "it is not a file"
	}
	return ""
}

// tell logs who came and who went.
func (a *accounts) tell(ids []string) {
	if len(ids) == 0 {
		a.log.Warn("there is no account to keep", "hint", "put a file named after the AppID into WECHAT_ACCOUNTS_DIR")
	}
	if a.kept == nil {
		for _, id := range a.tickets.named() {
			if !slices.Contains(ids, id) {
				a.log.Warn("WECHAT_TICKETS names an account that is not kept", "appid", id,
					"hint", "its tickets are kept once WECHAT_ACCOUNTS_DIR has a file of this name")
			}
		}
		return
	}
	for _, id := range ids {
		if !slices.Contains(a.kept, id) {
			a.log.Info("account added", "appid", id)
		}
	}
	for _, id := range a.kept {
		if !slices.Contains(ids, id) {
			a.log.Info("account removed", "appid", id)
		}
	}
}
