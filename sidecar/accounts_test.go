package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/mirror"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
	"github.com/wxsidecar/wxsidecar/sidecar/verify"
	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// scanned are the accounts of a folder and their group. It works in a synctest bubble.
type scanned struct {
	*accounts
	group  *keeper.Group
	wechat *wechattest.Server
	notes  status.Notes
	log    programtest.Output
}

func newScanned(t *testing.T, folder string, more ...string) *scanned {
	t.Helper()
	cfg, found := parse(append([]string{"WECHAT_ACCOUNTS_DIR=" + folder, "WECHAT_BASE_URL=http://127.0.0.1"}, more...))
	require.Empty(t, found)
	s := &scanned{wechat: wechattest.New()}
	memcached := memcachetest.New()
	store, err := memcache.New(memcache.Config{Dial: memcached.Dial})
	require.NoError(t, err)
	transport, stop := s.wechat.Pipe()
	var verifier *verify.Verifier
	caller, err := wechat.New(wechat.Config{
		BaseURLs: []string{"http://127.0.0.1"}, Transport: transport,
		Observe: func(r wechat.Request, _ time.Duration, failure error) { verifier.Used(r, failure) },
	})
	require.NoError(t, err)
	s.group = keeper.New(keeper.Config{Store: store, WeChat: caller})
	log := slog.New(slog.NewTextHandler(&s.log, nil))
	verifier = verify.New(verify.Config{Send: caller.Verify, Notes: &s.notes, Log: log, Rand: func() float64 { return 1 }})
	s.accounts = newAccounts(cfg, mirror.New(mirror.Config{}), newMemoryReleaser(), &s.notes, verifier, log)
	t.Cleanup(func() {
		s.group.Close(context.Background())
		assert.NoError(t, store.Close())
		assert.NoError(t, memcached.Close())
		stop()
		programtest.AssertNoCanary(t, s.log.String())
	})
	return s
}

// appIDs returns the AppIDs of the group.
func (s *scanned) appIDs() []string {
	ids := []string{}
	for _, state := range s.group.States() {
		ids = append(ids, state.AppID)
	}
	return ids
}

func (s *scanned) mustScan(t *testing.T) {
	t.Helper()
	require.NoError(t, s.scan(s.group))
}

// Accounts are added and removed with their files.
func TestAccounts_FollowTheirFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newScanned(t, dir)
	s.mustScan(t)
	assert.Empty(t, s.appIDs())
	assert.Contains(t, s.log.String(), "no accounts configured")

	a := programtest.WriteFile(t, filepath.Join(dir, "wxA"), testSecret)
	programtest.WriteFile(t, filepath.Join(dir, "wxB"), testSecret)
	s.mustScan(t)
	assert.Equal(t, []string{"wxA", "wxB"}, s.appIDs())

	require.NoError(t, os.Remove(a))
	programtest.WriteFile(t, filepath.Join(dir, "wxC"), testSecret)
	s.mustScan(t)
	assert.Equal(t, []string{"wxB", "wxC"}, s.appIDs())
	assert.Contains(t, s.log.String(), `msg="account added" appid=wxC`)
	assert.Contains(t, s.log.String(), `msg="account removed" appid=wxA`)
}

// Kubernetes replaces a Secret through its ..data link: new AppSecrets are used at once.
func TestAccounts_KubernetesSwapsTheDataLink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// As the kubelet lays out a Secret: wxA → ..data/wxA, ..data → ..2026_1.
	programtest.WriteFile(t, filepath.Join(dir, "..2026_1", "wxA"), "canarysecret-one\n")
	require.NoError(t, os.Symlink("..2026_1", filepath.Join(dir, "..data")))
	require.NoError(t, os.Symlink("..data/wxA", filepath.Join(dir, "wxA")))
	s := newScanned(t, dir)
	s.mustScan(t)
	require.Equal(t, []string{"wxA"}, s.appIDs())
	names, err := os.ReadDir(dir)
	require.NoError(t, err)
	found, _ := s.inFolder(names)
	require.Len(t, found, 1)
	eventually(t, func() bool {
		names, err := os.ReadDir(dir)
		require.NoError(t, err)
		_, changed := s.inFolder(names)
		return len(changed) == 0
	}, "it was looked at some seconds after its change")
	secret, err := found[0].kept.Secret()
	require.NoError(t, err)
	assertSame(t, "canarysecret-one", secret, "white space at its ends is cut")

	// The rotation: a new folder, and the link renamed over the old one.
	programtest.WriteFile(t, filepath.Join(dir, "..2026_2", "wxA"), "canarysecret-two")
	programtest.WriteFile(t, filepath.Join(dir, "..2026_2", "wxB"), "canarysecret-b")
	require.NoError(t, os.Symlink("..2026_2", filepath.Join(dir, "..data_tmp")))
	require.NoError(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	require.NoError(t, os.Symlink("..data/wxB", filepath.Join(dir, "wxB")))
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "..2026_1")))
	secret, err = found[0].kept.Secret()
	require.NoError(t, err)
	assertSame(t, "canarysecret-two", secret, "the secret is read again before every call, without a scan")
	s.mustScan(t)
	assert.Equal(t, []string{"wxA", "wxB"}, s.appIDs())
	assert.Empty(t, s.notes.All())
}

// hexSecret has the form of WeChat's AppSecrets.
const hexSecret = "fedcba98765432100123456789ABCDEF"

// A file that is not an account is noted and logged once, and never sent to WeChat. An
// AppSecret as its name is not shown.
func TestAccounts_OtherFilesAreNotedOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	const usual, unusual = "wx0123456789abcdef", "touristappid"
	for name, text := range map[string]string{
		usual: "canarysecret", unusual: hexSecret, ".hidden": hexSecret, // these are none to note, but for the name
		"wx.bak": hexSecret, "gh_0123456789ab": hexSecret, "ww0123456789abcdef": hexSecret, hexSecret: usual,
		"secret=" + hexSecret: hexSecret, "README": "canarysecret\n", "NOTES": "canarysecret of one account", "wx012345678": "canarysecret", "empty": "",
	} {
		programtest.WriteFile(t, at(name), text)
	}
	require.NoError(t, os.Mkdir(at("folder"), 0o755))
	require.NoError(t, os.Symlink("nowhere", at("dangling")))
	require.NoError(t, syscall.Mkfifo(at("fifo"), 0o600))
	s := newScanned(t, dir, "WECHAT_BASE_URL=")
	for range 3 {
		s.mustScan(t)
	}
	assert.Equal(t, []string{unusual, usual}, s.appIDs())
	all := map[string]string{}
	for _, note := range s.notes.All() {
		name, reason, _ := strings.Cut(strings.TrimPrefix(note.Text.English, "the file "+dir+"/"), " ")
		all[name] = reason
	}
	for name, reason := range map[string]string{
		unusual:  "has an unusual name: not an AppID, which is wx and 16 letters or digits",
		"wx.bak": "is ignored: not an AppID, which is wx and 16 letters or digits", "secret=[redacted]": "is ignored: 32 hexadecimal digits are an AppSecret, not an AppID",
		"gh_0123456789ab": "is ignored: gh_… is an original ID, not an AppID", "ww0123456789abcdef": "is ignored: ww… is a corp ID of WeCom, not an AppID",
		"[redacted]": "is ignored: 32 hexadecimal digits are an AppSecret, not an AppID",
		"README":     "is ignored: " + hint.NoAccount.English, "NOTES": "is ignored: " + hint.NoAccount.English,
		"wx012345678": "is ignored: " + hint.NoAccount.English, "empty": "is ignored: " + hint.NoAccount.English,
		"folder": "is ignored: not a regular file", "fifo": "is ignored: not a regular file", "dangling": "is ignored: it cannot be read: no such file or directory",
	} {
		assert.Equal(t, reason, all[name], name)
		assert.Equal(t, 1, strings.Count(s.log.String(), `"the file `+at(name)+" "+reason+`"`), name)
		delete(all, name)
	}
	assert.Empty(t, all)
	assert.NotContains(t, strings.ToLower(s.log.String()), hexSecret[:16], "an AppSecret is not shown, neither as a name nor as content")

	for _, name := range []string{"README", "folder"} {
		require.NoError(t, os.RemoveAll(at(name)))
	}
	s.mustScan(t)
	assert.Len(t, s.notes.All(), 11, "a removed file is noted no more")
}

// Beside a fake WeChat on loopback, an AppID needs only to begin with wx. A README is
// still no account.
func TestAccounts_LoopbackAllowsAnyForm(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	programtest.WriteFile(t, filepath.Join(dir, "wx-a"), testSecret)
	programtest.WriteFile(t, filepath.Join(dir, "README"), testSecret)
	s := newScanned(t, dir)
	s.mustScan(t)
	assert.Equal(t, []string{"wx-a"}, s.appIDs())
	assert.Len(t, s.notes.All(), 1)
}

// An AppID of an unusual form is warned of at the start, unless WeChat is a fake.
func TestAccounts_UnusualAppIDWarns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		appID, baseURL string
		warns          bool
	}{
		{"wx0123456789abcdef", "", false},
		{"wx0123456789ABCDEF", "", false},
		{"touristappid", "", true},
		{"wx0123456789abcde", "", true},
		{"wx0123456789abcdef0", "https://api.weixin.qq.com,https://127.0.0.1", true},
		{"touristappid", "http://127.0.0.1:8080", false},
		{"touristappid", "http://LOCALHOST:8080,https://[::1]", false},
	} {
		s := newScanned(t, t.TempDir(), "WECHAT_APPID="+c.appID, "WECHAT_APPSECRET="+hexSecret, "WECHAT_BASE_URL="+c.baseURL)
		assert.Equal(t, c.warns, strings.Contains(s.log.String(), `level=WARN msg="AppID has an unusual form" appid=`+c.appID), "%s %s", c.appID, c.baseURL)
	}
}

// An account with another name stays if its AppSecret becomes unreadable: the keeper
// says what fails, and its token is given meanwhile.
func TestAccounts_UnusualNameStays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := programtest.WriteFile(t, filepath.Join(dir, "touristappid"), hexSecret)
	s := newScanned(t, dir)
	s.mustScan(t)
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	s.mustScan(t)
	assert.Equal(t, []string{"touristappid"}, s.appIDs())
}

// An AppSecret that is not 32 hexadecimal digits is warned of, whenever it changes. The
// warning says what is wrong and does not quote it.
func TestAccounts_UnusualSecretWarns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "wx0123456789abcdef")
	var s *scanned
	for i, c := range []struct{ text, says string }{
		{hexSecret, ""},
		{`"` + hexSecret + `"`, "it has quotes"},
		{"'" + hexSecret + "'", "it has quotes"},
		{"WECHAT_APPSECRET=" + hexSecret, "it begins with a name"},
		{"appsecret:" + hexSecret, "it begins with a name"},
		{hexSecret + "\n", ""},
		{"wx0123456789ABCDEF", "it has the form of an AppID; are the two swapped?"},
		{hexSecret[:31], "part of it is missing"},
		{hexSecret + "0", "part of it is missing"},
	} {
		programtest.WriteFile(t, file, c.text)
		if i == 0 {
			s = newScanned(t, dir)
			s.mustScan(t)
		}
		before := strings.Count(s.log.String(), "AppSecret has an unusual form")
		names, err := os.ReadDir(dir)
		require.NoError(t, err)
		found, _ := s.inFolder(names)
		for range 2 {
			_, err := found[0].kept.Secret()
			require.NoError(t, err)
		}
		added := strings.Count(s.log.String(), "AppSecret has an unusual form") - before
		if c.says == "" {
			assert.Zero(t, added)
		} else {
			eventually(t, func() bool { // the keeper reads it too, and perhaps warns
				return strings.Contains(s.log.String(), "not 32 hexadecimal digits: "+c.says)
			}, c.says)
			assert.LessOrEqual(t, added, 1, "once")
		}
	}
	assert.NotContains(t, s.log.String(), hexSecret[:31])
}

// WECHAT_APPID takes precedence over a file of the same account.
func TestAccounts_InVariableAndFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newScanned(t, dir, "WECHAT_APPID=wxA", "WECHAT_APPSECRET="+testSecret)
	programtest.WriteFile(t, filepath.Join(dir, "wxA"), testSecret) // comes later: at the start it is an error
	programtest.WriteFile(t, filepath.Join(dir, "wxB"), testSecret)
	s.mustScan(t)
	s.mustScan(t)
	assert.Equal(t, []string{"wxA", "wxB"}, s.appIDs())
	assert.Equal(t, 1, strings.Count(s.log.String(), "WECHAT_APPID names this account too"))
}

// If the folder cannot be read, the accounts stay.
func TestAccounts_FolderVanishes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "accounts")
	programtest.WriteFile(t, filepath.Join(dir, "wxA"), testSecret)
	s := newScanned(t, dir)
	s.mustScan(t)
	require.NoError(t, os.RemoveAll(dir))
	s.mustScan(t)
	s.mustScan(t)
	assert.Equal(t, []string{"wxA"}, s.appIDs())
	assert.Equal(t, 1, strings.Count(s.log.String(), "cannot be read: no such file or directory"))
	require.Len(t, s.notes.All(), 1)
	assert.Equal(t, "accounts_folder_unreadable", s.notes.All()[0].Code)

	programtest.WriteFile(t, filepath.Join(dir, "wxB"), testSecret)
	s.mustScan(t)
	assert.Equal(t, []string{"wxB"}, s.appIDs())
	assert.Empty(t, s.notes.All())
}

// An AppSecret that cannot be read is noted at the start, and at each scan, of a folder and
// of WECHAT_APPSECRET_FILE.
func TestAccounts_UnreadableSecretIsNoted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := programtest.WriteFile(t, filepath.Join(dir, "one", "appsecret"), testSecret)
	folder := filepath.Join(dir, "many")
	programtest.WriteFile(t, filepath.Join(folder, "wxB"), "")
	s := newScanned(t, folder, "WECHAT_APPID=wxA", "WECHAT_APPSECRET_FILE="+file)
	texts := func() (all []string) {
		for _, note := range s.notes.All() {
			assert.Equal(t, "appsecret_unreadable", note.Code)
			all = append(all, note.Text.English)
		}
		return all
	}
	b := "the AppSecret of wxB cannot be read: " + filepath.Join(folder, "wxB") + ": the secret is empty"
	s.mustScan(t)
	assert.Equal(t, []string{b}, texts(), "at the start")
	require.NoError(t, os.Remove(file))
	s.mustScan(t)
	s.mustScan(t)
	a := "the AppSecret of wxA cannot be read: " + file + ": the file is unreadable: no such file or directory"
	assert.Equal(t, []string{a, b}, texts())
	assert.Equal(t, 1, strings.Count(s.log.String(), `msg="AppSecret needs attention" appid=wxA`), "once")
	programtest.WriteFile(t, file, testSecret)
	programtest.WriteFile(t, filepath.Join(folder, "wxB"), testSecret)
	s.mustScan(t)
	assert.Empty(t, texts())
}

// An AppSecret that could not be read is read again although its file seems unchanged: its
// owner, or the storage below, can have changed.
func TestAccounts_UnreadableIsReadAgain(t *testing.T) {
	t.Parallel()
	path := programtest.WriteFile(t, filepath.Join(t.TempDir(), "wx0123456789abcdef"), strings.Repeat(" ", len(hexSecret)))
	before, err := os.Stat(path)
	require.NoError(t, err)
	s := newScanned(t, filepath.Dir(path))
	s.mustScan(t)
	require.Len(t, s.notes.All(), 1)
	programtest.WriteFile(t, path, hexSecret)
	require.NoError(t, os.Chtimes(path, time.Time{}, before.ModTime()))
	after, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, before.ModTime(), after.ModTime())
	s.mustScan(t)
	assert.Empty(t, s.notes.All())
}

// An account whose file cannot even be looked at, such as in a folder of mode 0644, stays:
// its token is given meanwhile.
func TestAccounts_UnsearchableFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := programtest.WriteFile(t, filepath.Join(dir, "wxA"), testSecret)
	s := newScanned(t, dir)
	s.mustScan(t)
	require.NoError(t, os.Remove(file))
	require.NoError(t, os.Symlink(file, file)) // a loop fails for root too
	s.mustScan(t)
	assert.Equal(t, []string{"wxA"}, s.appIDs())
	require.Len(t, s.notes.All(), 1)
	assert.Equal(t, "appsecret_unreadable", s.notes.All()[0].Code)
}

// A changed AppSecret is verified within 10 s, without a folder too. WeChat issues nothing
// for it that counts, and the token stays valid.
func TestAccounts_ChangedSecretIsVerified(t *testing.T) {
	t.Parallel()
	file := programtest.WriteFile(t, filepath.Join(t.TempDir(), "appsecret"), testSecret)
	synctest.Test(t, func(t *testing.T) {
		s := newScanned(t, "", "WECHAT_APPID=wxA", "WECHAT_APPSECRET_FILE="+file)
		s.wechat.AddAccount("wxA", testSecret)
		s.mustScan(t)
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 2)
		go func() { ended <- s.follow(ctx, s.group) }()
		go func() { ended <- s.verifier.Run(ctx) }()
		time.Sleep(75 * time.Second)
		require.Zero(t, s.wechat.Verifications(), "a renewal used the one that it started with")
		programtest.WriteFile(t, file, "canarysecret-wrong")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		assert.Equal(t, 1, s.wechat.Verifications())
		assert.Contains(t, s.log.String(), `level=WARN msg="AppSecret changed" appid=wxA source=`+file+` verified=false errcode=40125`)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.Len(t, s.notes.All(), 1)
		assert.Equal(t, "appsecret_refused", s.notes.All()[0].Code)
		assert.Equal(t, 1, s.wechat.Requests("", ""), "no renewal")
		assert.Zero(t, s.wechat.Accepts(s.wechat.Issued()[0].Token))
		programtest.WriteFile(t, file, testSecret)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		assert.Empty(t, s.notes.All())
		assert.Equal(t, 5, s.wechat.Verifications())
		cancel()
		assert.NoError(t, errors.Join(<-ended, <-ended))
	})
}

// The error of a wrong secret names the file and does not quote the secret.
func TestReadAccount_ErrorNamesTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for text, says := range map[string]string{
		" \n":                                "the secret is empty",
		"canarysecret canarysecret":          "the secret has a space",
		"\xef\xbb\xbf" + testSecret:          "the file begins with a byte order mark",
		"\xff\xfec\x00a\x00n\x00":            "the file is UTF-16", // of PowerShell 5
		"\xfe\xff\x00c\x00a\x00n":            "the file is UTF-16",
		"c\x00a\x00n\x00a\x00r\x00y\x00":     "the file is UTF-16",
		strings.Repeat("canarysecret", 200):  "the secret has more than 2048 bytes",
		strings.Repeat("canarysecret", 1000): "the file is unreadable: the file has more than 4096 bytes",
	} {
		path := programtest.WriteFile(t, filepath.Join(dir, "wxA"), text)
		secret, err := readAccount(path)
		assert.Empty(t, secret)
		require.Error(t, err)
		assert.Contains(t, err.Error(), path+": "+says)
		programtest.AssertNoCanary(t, err.Error())
	}
}

// A new file becomes an account within 10 s.
func TestAccounts_ScanEveryTenSeconds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := newScanned(t, dir)
		s.wechat.AddAccount("wxA", testSecret)
		s.mustScan(t)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.follow(ctx, s.group) }()
		programtest.WriteFile(t, filepath.Join(dir, "wxA"), testSecret)
		time.Sleep(9 * time.Second)
		synctest.Wait()
		assert.Empty(t, s.appIDs())
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		assert.Equal(t, []string{"wxA"}, s.appIDs())
		assert.Equal(t, 1, s.wechat.Issues("wxA"), "and its token fetched")
		cancel()
		assert.NoError(t, <-ended)
	})
}
