package mirror

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/wxsidecar/wxsidecar/sidecar/smallfile"
)

// Placeholder is replaced by the AppID in a path and in a table's name.
const Placeholder = "{appid}"

// DefaultTable is the table's name if none is configured.
const DefaultTable = "wx_token"

// maxTable is MySQL's limit for a table's name, in characters.
const maxTable = 64

// identifier matches a table's name: no character in it needs escaping between back
// quotes. Hyphens are allowed because an AppID can have them.
var identifier = regexp.MustCompile(`^[A-Za-z0-9_$-]+$`)

// CheckTable returns an error if a table's name is not valid. many means that there
// are several accounts.
func CheckTable(name string, many bool) error {
	bare := strings.Replace(name, Placeholder, "x", 1)
	switch {
	case strings.ContainsAny(bare, "{}"):
		return errors.New("has { or } outside of one " + Placeholder)
	case !identifier.MatchString(bare):
		return errors.New("is not a table's name: use letters, digits, _, $ and -, without the database's name")
	case len(bare) > maxTable:
		return errors.New("has more than 64 characters")
	case many && bare == name:
		return errors.New("lacks " + Placeholder + ": the accounts would overwrite each other's rows")
	}
	return nil
}

// CheckFile returns an error if the path of the file is not valid. many means that
// there are several accounts. It also checks that the shared part of its folder is
// writable. The error does not quote the path.
func CheckFile(path string, many bool) error {
	bare := strings.Replace(path, Placeholder, "x", 1)
	switch {
	case strings.ContainsAny(bare, "{}"):
		return errors.New("has { or } outside of one " + Placeholder)
	case !filepath.IsAbs(path):
		return errors.New("is not an absolute path")
	case strings.HasSuffix(path, "/") || filepath.Clean(path) != path:
		return errors.New("is not a plain path of a file")
	case many && bare == path:
		return errors.New("lacks " + Placeholder + ": the accounts would overwrite each other's file")
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return errors.New("is a folder")
	}
	folder := sharedFolder(path)
	if bare == path {
		target, err := resolve(path)
		if err != nil {
			return err
		}
		folder = filepath.Dir(target)
	}
	if err := probe(folder); err != nil {
		return fmt.Errorf("its folder is not writable: %w", smallfile.WithoutPath(err))
	}
	return nil
}

// probe returns why no file can be created in a folder, or nil.
func probe(folder string) error {
	file, err := os.CreateTemp(folder, tempPattern("probe"))
	if err != nil {
		return err
	}
	_ = file.Close()
	_ = os.Remove(file.Name()) // if it fails, sweep removes the file
	return nil
}

// sharedFolder returns the part of the file's folder that all accounts share.
func sharedFolder(path string) string {
	static, _, _ := strings.Cut(path, Placeholder)
	return filepath.Dir(static + "x")
}

// What a path must not be.
var (
	errDangling   = errors.New("is a link to a file that does not exist")
	errNoFile     = errors.New("is neither a file nor a link to one")
	errLinkedPart = errors.New("has a link as the part with " + Placeholder)
)

// place returns the path of an account's file. The part with the placeholder must not be
// a link: whoever can write one account's link could then get another account's token.
func place(pattern, appID string) (string, error) {
	path := fill(pattern, appID)
	static, rest, ok := strings.Cut(pattern, Placeholder)
	if !ok {
		return path, nil
	}
	name, _, _ := strings.Cut(rest, "/")
	info, err := os.Lstat(static + appID + name)
	if err == nil && info.Mode().Type() == fs.ModeSymlink {
		return path, errLinkedPart
	}
	return path, nil
}

// resolve returns the file that is replaced: the one at path, or the one that path links
// to. Deployers link it, and the link must stay.
func resolve(path string) (string, error) {
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return path, nil //nolint:nilerr // if it is not just missing, writing fails
	case info.Mode()&fs.ModeDevice != 0:
		return "", errNoFile
	case info.Mode().Type() != fs.ModeSymlink:
		return path, nil
	}
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", errDangling
	}
	if err != nil {
		return "", err
	}
	if info, err = os.Lstat(target); err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", errNoFile
	}
	return target, nil
}

// fill replaces the placeholder by the AppID, which has no slash, dot or quote.
func fill(pattern, appID string) string { return strings.ReplaceAll(pattern, Placeholder, appID) }
