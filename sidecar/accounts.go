package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
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
	fixed   []keeper.Account // of WECHAT_APPID; none or one
	folder  string           // WECHAT_ACCOUNTS_DIR; "" means none
	tickets tickets          // WECHAT_TICKETS
	mirror  *mirror.Mirror
	memory  *memoryReleaser
	log     *slog.Logger

	local   bool     // WECHAT_BASE_URL is loopback: a fake WeChat, with AppIDs of any form
	unusual sync.Map // what is unusual about an AppSecret, by its source
	notes   *status.Notes
	current []string // the group's AppIDs; nil before the first scan

	verifier *verify.Verifier
	source   string           // of the AppSecret of WECHAT_APPID: a file or a variable
	seen     map[string]stamp // of the files of the folder, by their paths
}

// stamp shows that a file was changed, without reading it.
type stamp struct {
	modified, size int64
	mode           os.FileMode
}

func newAccounts(cfg config, to *mirror.Mirror, memory *memoryReleaser, notes *status.Notes, verifier *verify.Verifier, log *slog.Logger) *accounts {
	a := &accounts{
		folder: cfg.AccountsDir, tickets: cfg.tickets(), mirror: to, memory: memory, log: log, local: cfg.localWeChat(), notes: notes,
		verifier: verifier, source: cmp.Or(cfg.AppSecretFile, "WECHAT_APPSECRET"), seen: map[string]stamp{},
	}
	if cfg.AppID != "" {
		a.fixed = []keeper.Account{{AppID: cfg.AppID, Secret: a.watched(cfg.AppID, a.source, cfg.readAppSecret)}}
		if !a.local && !usualAppID.MatchString(cfg.AppID) {
			log.Warn("AppID has an unusual form", "appid", cfg.AppID, "hint", "check WECHAT_APPID: an AppID is wx and 16 letters or digits")
		}
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

// watched returns a function that reads an account's AppSecret, and warns of one of unusual
// form whenever it changes. Every scan calls it.
func (a *accounts) watched(appID, source string, read func() (string, error)) func() (string, error) {
	return func() (string, error) {
		secret, err := read()
		if err != nil {
			return "", err // the verifier and the keeper report it
		}
		what := unusualSecret(secret)
		if before, _ := a.unusual.Swap(source, what); what != "" && before != what {
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

// scan reads the folder and each AppSecret that changed. If the folder cannot be read, the accounts
// stay: Kubernetes may be mounting the Secret again.
func (a *accounts) scan(group *keeper.Group) error {
	found := slices.Clone(a.fixed)
	if a.folder != "" {
		names, err := os.ReadDir(a.folder)
		if err != nil {
			a.noteFolder(hint.UnreadableFolder(a.folder, smallfile.WithoutPath(err)))
			if a.current != nil {
				a.verifier.Scan(a.secrets(found))
				return nil
			}
		} else {
			found = append(found, a.inFolder(names)...)
		}
	}
	a.verifier.Scan(a.secrets(found))
	ids := make([]string, len(found))
	for i := range found {
		ids[i] = found[i].AppID
		found[i].Tickets = a.tickets.of(ids[i])
		found[i].Secret = a.memory.beforeRequest(found[i].Secret)
	}
	slices.Sort(ids)
	if a.current != nil && slices.Equal(ids, a.current) {
		return nil
	}
	clear(a.seen) // an account that was removed can come again
	a.verifier.Keep(ids)
	a.mirror.SetAccounts(ids)
	if err := group.SetAccounts(found); err != nil {
		return fmt.Errorf("set the accounts: %w", err)
	}
	a.logChanges(ids)
	a.current = ids
	return nil
}

// inFolder returns the accounts of the folder's files, and notes the other files.
func (a *accounts) inFolder(names []os.DirEntry) []keeper.Account {
	var found []keeper.Account
	var notes []hint.Note
	for _, entry := range names {
		name := entry.Name()
		if strings.HasPrefix(name, ".") { // such as ..data of Kubernetes
			continue
		}
		path := filepath.Join(a.folder, name)
		shown := secretRun.ReplaceAllString(path, hidden)
		read := func() (string, error) { return readAccount(path) }
		if reason := a.refuse(name, path, read); reason != (hint.Hint{}) {
			notes = append(notes, hint.SkippedFile(shown, reason))
			continue
		}
		if !a.local && !usualAppID.MatchString(name) {
			notes = append(notes, hint.UnusualName(shown))
		}
		found = append(found, keeper.Account{AppID: name, Secret: a.watched(name, path, read)})
	}
	a.noteFolder(notes...)
	return found
}

// noteFolder replaces the notes about the folder, and logs new ones.
func (a *accounts) noteFolder(notes ...hint.Note) {
	for _, note := range a.notes.Set("WECHAT_ACCOUNTS_DIR", notes...) {
		a.log.Warn("accounts folder needs attention", "note", note.Text, "hint", note.Hint)
	}
}

// secrets returns where the AppSecrets of these accounts are. It leaves out the files that
// are as they were at the last scan.
func (a *accounts) secrets(of []keeper.Account) []verify.Account {
	var all []verify.Account
	for i, account := range of {
		source := a.source
		if i >= len(a.fixed) {
			source = filepath.Join(a.folder, account.AppID)
			if a.unchanged(source) {
				continue
			}
		}
		all = append(all, verify.Account{AppID: account.AppID, Source: source, Secret: account.Secret})
	}
	return all
}

// unchanged reports whether a file is as it was when unchanged was last called for it.
func (a *accounts) unchanged(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		delete(a.seen, path)
		return false
	}
	now := stamp{info.ModTime().UnixNano(), info.Size(), info.Mode()}
	same := a.seen[path] == now
	a.seen[path] = now
	return same
}

// refuse returns why a file is not an account, or the zero Hint.
func (a *accounts) refuse(name, path string, read func() (string, error)) hint.Hint {
	if what := notAppID(name); what != (hint.Hint{}) {
		return what
	}
	if slices.ContainsFunc(a.fixed, func(own keeper.Account) bool { return own.AppID == name }) {
		return hint.NameTaken
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist): // a link to nothing
		return hint.Unreadable(smallfile.WithoutPath(err))
	case err == nil && !info.Mode().IsRegular():
		return hint.NotRegular
	}
	if _, known := slices.BinarySearch(a.current, name); known || usualAppID.MatchString(name) || a.local && strings.HasPrefix(name, "wx") {
		return hint.Hint{}
	}
	// Such as a README, whose text would be sent to WeChat as an AppSecret.
	if secret, err := read(); err != nil || !memcache.IsAppSecret(secret) {
		return hint.NoAccount
	}
	return hint.Hint{}
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
