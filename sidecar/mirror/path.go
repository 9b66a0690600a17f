package mirror

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Placeholder stands for the AppID in a path and in a table's name.
const Placeholder = "{appid}"

// DefaultTable is the table's name where none is configured.
const DefaultTable = "wx_token"

// maxTable is the longest name of a table, in characters.
const maxTable = 64

// identifier is what a table may be called: no name needs more, and none of these
// needs to be escaped between back quotes. An AppID may bring hyphens.
var identifier = regexp.MustCompile(`^[A-Za-z0-9_$-]+$`)

// CheckTable says what is wrong with a table's name; many: there are several
// accounts.
func CheckTable(name string, many bool) error {
	bare := strings.Replace(name, Placeholder, "x", 1)
	switch {
	case strings.ContainsAny(bare, "{}"):
		return errors.New("has { or } elsewhere than in one " + Placeholder)
	case !identifier.MatchString(bare):
		return errors.New("is no table's name: it has letters, digits, _, $ and -, and no database's name before it")
	case len(bare) > maxTable:
		return errors.New("is longer than 64 characters")
	case many && bare == name:
		return errors.New("lacks " + Placeholder + ": the accounts would write over each other's rows")
	}
	return nil
}

// CheckFile says what is wrong with the path of the file; many: there are several
// accounts. It looks into its folder as far as that is the same for all of them.
// The error does not quote the path.
func CheckFile(path string, many bool) error {
	bare := strings.Replace(path, Placeholder, "x", 1)
	switch {
	case strings.ContainsAny(bare, "{}"):
		return errors.New("has { or } elsewhere than in one " + Placeholder)
	case !filepath.IsAbs(path):
		return errors.New("is no absolute path")
	case strings.HasSuffix(path, "/") || filepath.Clean(path) != path:
		return errors.New("is no plain path of a file")
	case many && bare == path:
		return errors.New("lacks " + Placeholder + ": the accounts would write over each other's file")
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return errors.New("is a folder")
	}
	probe, err := os.CreateTemp(sharedFolder(path), tempPattern("probe"))
	if err != nil {
		return errors.New("its folder cannot be written to: " + withoutPath(err).Error())
	}
	_ = probe.Close()
	_ = os.Remove(probe.Name()) // what is left is swept
	return nil
}

// sharedFolder is the folder of the file, as far as it is the same for all accounts.
func sharedFolder(path string) string {
	static, _, _ := strings.Cut(path, Placeholder)
	return filepath.Dir(static + "x")
}

// fill puts the AppID in the place of the placeholder. An AppID has no slash, dot
// or quote.
func fill(pattern, appID string) string { return strings.ReplaceAll(pattern, Placeholder, appID) }
