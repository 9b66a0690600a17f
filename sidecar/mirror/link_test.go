package mirror_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/mirror"
)

// link makes path a link to target, in one step.
func link(t *testing.T, target, path string) {
	t.Helper()
	require.NoError(t, os.Symlink(target, path+".new"))
	require.NoError(t, os.Rename(path+".new", path))
}

// inTheWay puts something at a path.
var inTheWay = map[string]func(t *testing.T, path string){
	"a FIFO": func(t *testing.T, path string) {
		t.Helper()
		require.NoError(t, syscall.Mkfifo(path, 0o666))
	},
	"a sparse file of 3 GB": func(t *testing.T, path string) {
		t.Helper()
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		require.NoError(t, os.Truncate(path, 3<<30))
	},
	"a socket": func(t *testing.T, path string) {
		t.Helper()
		l, err := net.Listen("unix", path)
		require.NoError(t, err)
		t.Cleanup(func() { _ = l.Close() })
	},
}

// Whatever is put in place of the file is replaced, before and after it was written. It
// keeps the program neither from writing nor from ending.
func TestFile_ReplacesWhatIsInTheWay(t *testing.T) {
	t.Parallel()
	for says, put := range inTheWay {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(shortDir(t), "t.json")
			put(t, path)
			m := run(t, mirror.Config{File: path})
			mine := change(1, inTwoHours())
			m.Changed(mine)
			eventually(t, func() bool { return isFile(path) && written(path, mine.Value, mine.Expires) }, "the file")
			require.NoError(t, os.Remove(path))
			put(t, path)
			mirror.CheckNow(m.Mirror)
			eventually(t, func() bool { return isFile(path) && written(path, mine.Value, mine.Expires) }, "the file again")
			m.stop()
		})
	}
}

func isFile(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular() && info.Size() < 1<<20
}

func shortDir(t *testing.T) string {
	t.Helper()
	dir := must(os.MkdirTemp("", "wx"))(t) //nolint:usetesting // t.TempDir's names are too long for a socket
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// If the file is a link, the link stays and its target is replaced: after a deployment,
// the new target.
func TestFile_LinkStays(t *testing.T) {
	t.Parallel()
	for says, linked := range map[string]string{"the file": "access_token.json", "its folder": "current/access_token.json"} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			at := func(name string) string { return filepath.Join(folder, name) }
			deploy := func(release string) (file string) {
				require.NoError(t, os.Mkdir(at(release), 0o750))
				file = filepath.Join(at(release), "access_token.json")
				require.NoError(t, os.WriteFile(file, []byte("{}"), 0o600))
				if says == "the file" {
					link(t, release+"/access_token.json", at("access_token.json"))
				} else {
					link(t, release, at("current"))
				}
				return file
			}
			first := deploy("1")
			require.NoError(t, mirror.CheckFile(at(linked), false))
			m := run(t, mirror.Config{File: at(linked)})
			mine := change(1, inTwoHours())
			m.Changed(mine)
			eventually(t, func() bool { return written(first, mine.Value, mine.Expires) }, "the first release's file")
			second := deploy("2")
			mirror.CheckNow(m.Mirror)
			eventually(t, func() bool { return written(second, mine.Value, mine.Expires) }, "the second release's file")
			m.stop()
			top, _, _ := strings.Cut(linked, "/")
			info := must(os.Lstat(at(top)))(t)
			assert.Equal(t, os.ModeSymlink, info.Mode().Type(), "the link stays")
			assert.ElementsMatch(t, []string{"1", "2", top}, names(t, folder), "no temporary file is left")
			assert.Equal(t, []string{"access_token.json"}, names(t, at("1")))
			assert.Equal(t, []string{"access_token.json"}, names(t, at("2")))
			assert.Empty(t, m.log.String())
		})
	}
}

// A link to nothing, or to something that is not a file, is an error at the start. Later
// it is reported and left as it is, and written to once its target is a file.
func TestFile_BadLinkIsReported(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	require.NoError(t, syscall.Mkfifo(at("fifo"), 0o600))
	require.NoError(t, os.Mkdir(at("folder"), 0o750))
	for target, says := range map[string]string{
		"nowhere": "is a link to a file that does not exist", "gone/nowhere": "is a link to a file that does not exist",
		"fifo": "is neither a file nor a link to one", "folder": "is neither a file nor a link to one", "/dev/null": "is neither a file nor a link to one",
	} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "access_token.json")
			if target[0] != '/' {
				target = at(target)
			}
			require.NoError(t, os.Symlink(target, path))
			err := mirror.CheckFile(path, false)
			require.Error(t, err)
			if target != at("folder") { // a folder is one however it is named
				require.ErrorContains(t, err, says)
			}
			synctest.Test(t, func(t *testing.T) {
				m := run(t, mirror.Config{File: path})
				mine := change(1, inTwoHours())
				m.Changed(mine)
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				s := state(t, m)
				assert.Equal(t, "access_token of "+appID+": write "+path+": "+says, s.Error)
				assert.Equal(t, hint.Linked, s.Hint)
				assert.Len(t, m.log.lines(t, fails), 1)
				assert.Equal(t, target, must(os.Readlink(path))(t))
				file := filepath.Join(t.TempDir(), "file")
				require.NoError(t, os.WriteFile(file, nil, 0o600))
				link(t, file, path)
				time.Sleep(67 * time.Second)
				assert.True(t, written(file, mine.Value, mine.Expires))
				assert.True(t, state(t, m).Up())
				m.stop()
			})
		})
	}
	assert.ElementsMatch(t, []string{"fifo", "folder"}, names(t, folder), "nothing is written there")
}

// A path that is a device itself is refused: a rename would replace it.
func TestCheckFile_Device(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, mirror.CheckFile("/dev/null", false), "neither a file nor a link to one")
}

// The part of the path with the AppID must not be a link: its owner would get another
// account's token. The other accounts are written.
func TestFile_LinkedPartIsReported(t *testing.T) {
	t.Parallel()
	for says, pattern := range map[string]string{
		"a folder": "{appid}/t.json", "a folder above": "of-{appid}.d/deeper/t.json", "the file": "{appid}.json",
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			folder, elsewhere := t.TempDir(), t.TempDir()
			fill := func(id string) string { return filepath.Join(folder, mirror.Fill(pattern, id)) }
			part, _, _ := strings.Cut(mirror.Fill(pattern, "wx1"), "/")
			target := elsewhere
			if says == "the file" {
				target = filepath.Join(elsewhere, "t.json")
				require.NoError(t, os.WriteFile(target, []byte("{}"), 0o600))
			}
			require.NoError(t, os.Symlink(target, filepath.Join(folder, part)))
			before := names(t, elsewhere)
			synctest.Test(t, func(t *testing.T) {
				m := run(t, mirror.Config{File: filepath.Join(folder, pattern)})
				m.SetAccounts([]string{"wx1", "wx2"})
				for n, id := range []string{"wx1", "wx2"} {
					mine := change(n, inTwoHours())
					mine.AppID = id
					m.Changed(mine)
					synctest.Wait()
					assert.Equal(t, id == "wx2", written(fill(id), mine.Value, mine.Expires), id)
				}
				s := state(t, m)
				assert.Contains(t, s.Error, "has a link as the part with {appid}")
				assert.Equal(t, hint.LinkedPart, s.Hint)
				m.stop()
			})
			assert.Equal(t, before, names(t, elsewhere), "nothing is written through the link")
		})
	}
}

// A write that hangs does not keep the program from ending.
func TestRun_EndsAlthoughAWriteHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hangs := make(chan struct{})
		m := run(t, mirror.Config{DSN: func() (string, error) {
			<-hangs
			return "", os.ErrClosed
		}})
		m.Changed(change(1, inTwoHours()))
		synctest.Wait()
		start := time.Now()
		m.stop()
		assert.Less(t, time.Since(start), 4*time.Second)
		close(hangs)
	})
}
