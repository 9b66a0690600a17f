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
	"github.com/wxsidecar/wxsidecar/sidecar/smallfile"
)

// scanEvery is the time between two scans of the folder.
const scanEvery = 10 * time.Second

// accounts are the account of WECHAT_APPID and those of WECHAT_ACCOUNTS_DIR.
// Only one goroutine at a time can use it.
type accounts struct {
	fixed   []keeper.Account // of WECHAT_APPID; none or one
	folder  string           // WECHAT_ACCOUNTS_DIR; "" means none
	tickets tickets          // WECHAT_TICKETS
	mirror  *mirror.Mirror
	memory  *memoryReleaser
	log     *slog.Logger

	warned  map[string]string // the last warning about a file, by its name
	failed  bool              // the last read of the folder failed
	current []string          // the group's AppIDs; nil before the first scan
}

func newAccounts(cfg config, to *mirror.Mirror, memory *memoryReleaser, log *slog.Logger) *accounts {
	a := &accounts{folder: cfg.AccountsDir, tickets: cfg.tickets(), mirror: to, memory: memory, log: log, warned: map[string]string{}}
	if cfg.AppID != "" {
		a.fixed = []keeper.Account{{AppID: cfg.AppID, Secret: memory.beforeRequest(cfg.readAppSecret)}}
	}
	return a
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

// follow scans the folder every scanEvery until ctx ends.
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

// scan reads the folder once. If the read fails, the accounts stay: Kubernetes may be
// mounting the Secret again.
func (a *accounts) scan(group *keeper.Group) error {
	found := slices.Clone(a.fixed)
	if a.folder != "" {
		names, err := os.ReadDir(a.folder)
		if err != nil {
			if !a.failed {
				a.failed = true
				a.log.Warn("accounts folder unreadable, accounts unchanged", "folder", a.folder,
					"error", smallfile.WithoutPath(err).Error(), "hint", "check that the Secret is mounted at WECHAT_ACCOUNTS_DIR")
			}
			if a.current != nil {
				return nil
			}
		} else {
			a.failed = false
			found = append(found, a.inFolder(names)...)
		}
	}
	ids := make([]string, len(found))
	for i := range found {
		ids[i] = found[i].AppID
		found[i].Tickets = a.tickets.of(ids[i])
	}
	slices.Sort(ids)
	if a.current != nil && slices.Equal(ids, a.current) {
		return nil
	}
	a.mirror.SetAccounts(ids)
	if err := group.SetAccounts(found); err != nil {
		return fmt.Errorf("set the accounts: %w", err)
	}
	a.logChanges(ids)
	a.current = ids
	return nil
}

// inFolder returns the accounts of the folder's files, and warns of other files.
func (a *accounts) inFolder(names []os.DirEntry) []keeper.Account {
	var found []keeper.Account
	warned := make(map[string]string)
	for _, entry := range names {
		name := entry.Name()
		if strings.HasPrefix(name, ".") { // such as ..data of Kubernetes
			continue
		}
		path := filepath.Join(a.folder, name)
		if reason := a.refuse(name, path); reason != "" {
			if a.warned[name] != reason {
				a.log.Warn("file ignored in accounts folder", "file", path, "error", reason,
					"hint", "name the file after the AppID and put the AppSecret into it")
			}
			warned[name] = reason
			continue
		}
		found = append(found, keeper.Account{AppID: name, Secret: a.memory.beforeRequest(func() (string, error) { return readAccount(path) })})
	}
	a.warned = warned // a corrected file can be warned of again
	return found
}

// refuse returns why a file is not an account, or "".
func (a *accounts) refuse(name, path string) string {
	if !memcache.ValidAppID(name) {
		return "the name is not an AppID"
	}
	if slices.ContainsFunc(a.fixed, func(own keeper.Account) bool { return own.AppID == name }) {
		return "WECHAT_APPID names this account too and takes precedence"
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return smallfile.WithoutPath(err).Error()
	case !info.Mode().IsRegular():
		return "not a regular file"
	}
	return ""
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
