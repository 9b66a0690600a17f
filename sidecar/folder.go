package main

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/smallfile"
)

// file is what a look at a file of the folder found.
type file struct {
	stamp   stamp
	notes   []hint.Note
	account *account // nil: it is none
}

// stamp shows that a file was changed, without reading it. Its content can have the size and
// the time of the one before, as after cp -p or rsync, and a new owner changes neither. But
// the time of the last change to the file's own state is set by each of these. The zero
// value is that of a file that is looked at again.
type stamp struct {
	modified, changed, size int64
	mode                    os.FileMode
}

// settledAfter is how long after a change another one shows in the file's times: some file
// systems count whole seconds.
const settledAfter = 2 * time.Second

// inFolder returns the accounts of the folder's files, and notes the other files. It looks
// only at files that changed since it was last called, and returns their accounts as changed.
func (a *accounts) inFolder(names []os.DirEntry) (all, changed []*account) {
	names = slices.DeleteFunc(names, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), ".") }) // such as ..data of Kubernetes
	var notes []hint.Note
	for _, entry := range names {
		path := filepath.Join(a.folder, entry.Name())
		now := stampOf(path)
		one, known := a.files[entry.Name()]
		changes := !known || now != one.stamp || now == (stamp{})
		if changes {
			one = a.look(entry.Name(), path)
			one.stamp = now
			a.files[entry.Name()] = one
		}
		notes = append(notes, one.notes...)
		if one.account != nil {
			all = append(all, one.account)
			if changes {
				changed = append(changed, one.account)
			}
		}
	}
	if len(a.files) > len(names) {
		maps.DeleteFunc(a.files, func(name string, _ file) bool {
			return !slices.ContainsFunc(names, func(e os.DirEntry) bool { return e.Name() == name })
		})
	}
	a.noteFolder(notes...)
	return all, changed
}

// look returns what a file is, without its stamp.
func (a *accounts) look(name, path string) file {
	shown := secretRun.ReplaceAllString(path, hidden)
	if strings.ContainsFunc(name, unicode.IsSpace) { // which nobody sees
		shown = strconv.Quote(shown)
	}
	read := func() (string, error) { return readAccount(path) }
	if reason := a.refuse(name, path, read); reason != (hint.Hint{}) {
		return file{notes: []hint.Note{hint.SkippedFile(shown, reason)}}
	}
	one := file{account: a.account(name, path, read)}
	if !a.local && !usualAppID.MatchString(name) {
		one.notes = []hint.Note{hint.UnusualName(shown)}
	}
	return one
}

// stampOf returns the stamp of a file, or the zero stamp if the file cannot be looked at, or
// was changed just now.
func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	changed := smallfile.Changed(info)
	if time.Since(changed).Abs() < settledAfter {
		return stamp{}
	}
	return stamp{info.ModTime().UnixNano(), changed.UnixNano(), info.Size(), info.Mode()}
}

// noteFolder replaces the notes about the folder, and logs new ones.
func (a *accounts) noteFolder(notes ...hint.Note) {
	for _, note := range a.notes.Set("WECHAT_ACCOUNTS_DIR", notes...) {
		a.log.Warn("accounts folder needs attention", "note", note.Text, "hint", note.Hint)
	}
}

// refuse returns why a file is not an account, or the zero Hint.
func (a *accounts) refuse(name, path string, read func() (string, error)) hint.Hint {
	if what := notAppID(name); what != (hint.Hint{}) {
		return what
	}
	if slices.ContainsFunc(a.fixed, func(own *account) bool { return own.kept.AppID == name }) {
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
