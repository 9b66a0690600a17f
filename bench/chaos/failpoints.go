package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// catch gives an order to the sidecar that comes first to a step of the account's
// next renewal, and returns that sidecar's pod. The order is kill, stop, or mark, which
// does nothing. sidecar/keeper/failpoint_chaos.go is the other side.
func (h *harness) catch(ctx context.Context, account, step, order string) (*pod, error) {
	path := h.path("failpoints", account)
	if err := writeWhole(path, step+" "+order); err != nil {
		return nil, err
	}
	var caught []string
	err := await(ctx, life, 5*time.Millisecond, func(context.Context) (err error) {
		if caught, err = filepath.Glob(path + ".[0-9]*"); err == nil && len(caught) == 0 {
			err = fmt.Errorf("%s: no renewal came to the step %s", account, step)
		}
		return err
	})
	if err != nil {
		_ = os.Remove(path)
		return nil, err
	}
	_ = os.Remove(caught[0])
	for _, p := range h.pods {
		if filepath.Ext(caught[0]) == "."+strconv.Itoa(p.pid()) {
			return p, nil
		}
	}
	return nil, errors.New("a process that is not a sidecar of this run came to a step")
}

// writeWhole writes a file that readers see whole or not at all.
func writeWhole(path, text string) error {
	next := filepath.Join(filepath.Dir(path), "."+filepath.Base(path))
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}
