package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/bench/program"
)

func diskFaults() []fault {
	return []fault{{
		name: "the disks of the file mirrors full", hold: 20 * time.Second, run: fillDisks, healed: (*harness).mirrorsCurrent, readersFree: true,
	}}
}

// fillDisks fills the disks of the file mirrors, at least until a renewal cannot be
// written. The files that are there must stay whole.
func fillDisks(ctx context.Context, h *harness, hold time.Duration) error {
	filling := func(p *pod) string { return p.inside(filepath.Join(p.disk, "filling")) }
	for _, p := range h.pods {
		if os.WriteFile(filling(p), []byte(strings.Repeat("x", 1<<20)), 0o600) == nil {
			return fmt.Errorf("the disk of sidecar %d has room for a megabyte", p.number)
		}
	}
	older, err := 0, program.Sleep(ctx, hold)
	for end := h.now() + life; err == nil && older == 0; {
		if older, err = h.olderMirrors(); err == nil && older == 0 {
			err = program.Sleep(ctx, 200*time.Millisecond)
		}
		if h.now() > end {
			err = errors.New("no renewal came while the disks were full")
		}
	}
	h.say("   %d of %d files hold an older token", older, len(h.pods)*len(h.accounts))
	for _, p := range h.pods {
		err = errors.Join(err, os.Remove(filling(p)))
	}
	return err
}

// olderMirrors returns how many files hold another token than memcached does, and an
// error if a file is not whole.
func (h *harness) olderMirrors() (older int, err error) {
	for _, p := range h.pods {
		for _, account := range h.accounts {
			var mirror struct {
				Token string `json:"access_token"`
			}
			text, err := os.ReadFile(p.inside(filepath.Join(p.disk, account+".json")))
			if err != nil || json.Unmarshal(text, &mirror) != nil || mirror.Token == "" {
				return 0, fmt.Errorf("the mirror of sidecar %d is damaged: %s.json has no token", p.number, account)
			}
			if mirror.Token != h.watch.entry(account) {
				older++
			}
		}
	}
	return older, nil
}

// mirrorsCurrent returns an error while a file holds another token than memcached.
func (h *harness) mirrorsCurrent() error {
	older, err := h.olderMirrors()
	if older > 0 {
		return fmt.Errorf("%d files of the mirrors hold older tokens", older)
	}
	return err
}
