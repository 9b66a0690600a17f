package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// diskFull fills the disks of the file mirrors: what was there must stay whole, and
// once there is room again every file must follow.
func diskFull(ctx context.Context, w *world, hold time.Duration) error {
	for _, p := range w.pods {
		if err := p.fill(); err != nil {
			return err
		}
	}
	full, older, until := pause(ctx, hold), 0, w.journal.now()+life
	for full == nil && older == 0 {
		if older, full = w.older(); full == nil && older == 0 {
			full = pause(ctx, 200*time.Millisecond)
		}
		if w.journal.now() > until {
			full = errors.New("no renewal met the full disks")
		}
	}
	w.journal.say("   %d of %d files hold an older token, all are whole", older, len(w.pods)*len(w.accounts))
	for _, p := range w.pods {
		if err := p.free(); err != nil {
			return err
		}
	}
	return full
}

// older is how many files hold another token than memcached; an error where one
// is not whole.
func (w *world) older() (n int, err error) {
	for _, p := range w.pods {
		for _, account := range w.accounts {
			token, err := p.mirror(account)
			if err != nil {
				return 0, fmt.Errorf("the mirror of sidecar %d: %w", p.number, err)
			}
			if token != w.watch.entry(account) {
				n++
			}
		}
	}
	return n, nil
}

// mirrored is an error where a file does not hold what memcached does.
func mirrored(w *world) error {
	n, err := w.older()
	if n > 0 {
		return fmt.Errorf("%d files of the mirrors hold older tokens", n)
	}
	return err
}

// mirror is the token in a sidecar's file.
func (p *pod) mirror(account string) (string, error) {
	text, err := os.ReadFile(p.inside(filepath.Join(p.disk, account+".json")))
	if err != nil {
		return "", err
	}
	var content struct {
		Token string `json:"access_token"`
	}
	if err = json.Unmarshal(text, &content); err != nil || content.Token == "" {
		return "", fmt.Errorf("%s.json is no JSON with a token", account)
	}
	return content.Token, nil
}
