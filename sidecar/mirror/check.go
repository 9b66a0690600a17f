package mirror

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/go-sql-driver/mysql"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
)

// Check looks at the mirrors of these accounts: whether each file can be replaced, and
// whether the database lets this user read, update and insert in each table. It writes
// neither, and leaves nothing behind. It returns the first failure of each mirror that is
// configured. A missing table or a missing folder of one account is none: the first write
// creates it.
func Check(ctx context.Context, cfg Config, appIDs []string) []State {
	var all []State
	add := func(name string, err error) {
		s := State{Name: name}
		if err != nil {
			s.Failing, s.Error, s.Hint = 1, err.Error(), hintOf(err)
		}
		all = append(all, s)
	}
	if cfg.File != "" {
		add(File, checkFiles(cfg.File, appIDs))
	}
	if cfg.DSN != nil {
		t := newTable(cfg.DSN, cfg.Table)
		defer t.close()
		add(MySQL, t.check(ctx, appIDs))
	}
	return all
}

func checkFiles(pattern string, appIDs []string) error {
	writable := map[string]error{} // by folder
	for _, appID := range appIDs {
		path, err := place(pattern, appID)
		if err == nil {
			err = checkFile(path, sharedFolder(pattern), writable)
		}
		if err != nil {
			return fileFailure(path, err)
		}
	}
	return nil
}

// checkFile returns why a file cannot be replaced, or nil. shared is the part of its folder
// that must exist. writable has the results for the folders that were tried before.
func checkFile(path, shared string, writable map[string]error) error {
	target, err := resolve(path)
	if err != nil {
		return err
	}
	if info, err := os.Lstat(target); err == nil && info.IsDir() {
		return syscall.EISDIR
	}
	folder := filepath.Dir(target)
	for folder != shared { // the first write creates what is missing below
		if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		folder = filepath.Dir(folder)
	}
	err, known := writable[folder]
	if !known {
		err = probe(folder)
		writable[folder] = err
	}
	return err
}

func (t *table) check(ctx context.Context, appIDs []string) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	conn, err := t.db.Conn(ctx)
	if err != nil {
		return t.unreachable(err)
	}
	defer func() { _ = conn.Close() }()
	for _, appID := range appIDs {
		name := fill(t.pattern, appID)
		if len(name) > maxTable {
			return &failure{what: "the table's name with this AppID has more than 64 characters", hint: hint.TableName}
		}
		name = "`" + name + "`"
		for _, statement := range []string{
			"UPDATE " + name + " SET `expire` = `expire`, `value` = `value` WHERE `type` = '' AND 1 = 0",
			"INSERT INTO " + name + " (`id`, `type`, `expire`, `value`) SELECT `id`, `type`, `expire`, `value` FROM " + name + " WHERE 1 = 0",
		} {
			_, err := conn.ExecContext(ctx, statement)
			var refused *mysql.MySQLError
			if errors.As(err, &refused) && refused.Number == noSuchTable {
				break
			}
			if err != nil {
				return t.failure(err, job{})
			}
		}
	}
	return nil
}
