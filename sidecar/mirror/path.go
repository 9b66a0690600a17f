package mirror

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
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
	probe, err := os.CreateTemp(sharedFolder(path), tempPattern("probe"))
	if err != nil {
		return errors.New("its folder is not writable: " + withoutPath(err).Error())
	}
	_ = probe.Close()
	_ = os.Remove(probe.Name()) // if it fails, sweep removes the file
	return nil
}

// sharedFolder returns the part of the file's folder that all accounts share.
func sharedFolder(path string) string {
	static, _, _ := strings.Cut(path, Placeholder)
	return filepath.Dir(static + "x")
}

// fill replaces the placeholder by the AppID, which has no slash, dot or quote.
func fill(pattern, appID string) string { return strings.ReplaceAll(pattern, Placeholder, appID) }
