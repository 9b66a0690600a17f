package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/mirror"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// scanned are the accounts of a folder and their group. It works in a synctest bubble.
type scanned struct {
	*accounts
	group  *keeper.Group
	wechat *wechattest.Server
	log    programtest.Output
}

func newScanned(t *testing.T, folder string, more ...string) *scanned {
	t.Helper()
	cfg, found := parse(append([]string{"WECHAT_ACCOUNTS_DIR=" + folder}, more...))
	require.Empty(t, found)
	s := &scanned{wechat: wechattest.New()}
	memcached := memcachetest.New()
	store, err := memcache.New(memcache.Config{Dial: memcached.Dial})
	require.NoError(t, err)
	transport, stop := s.wechat.Pipe()
	caller, err := wechat.New(wechat.Config{BaseURLs: []string{"http://127.0.0.1"}, Transport: transport})
	require.NoError(t, err)
	s.group = keeper.New(keeper.Config{Store: store, WeChat: caller})
	s.accounts = newAccounts(cfg, mirror.New(mirror.Config{}), newMemoryReleaser(), slog.New(slog.NewTextHandler(&s.log, nil)))
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
	found := s.inFolder(names)
	require.Len(t, found, 1)
	secret, err := found[0].Secret()
	require.NoError(t, err)
	assertSame(t, "canarysecret-one", secret, "white space at its ends is cut")

	// The rotation: a new folder, and the link renamed over the old one.
	programtest.WriteFile(t, filepath.Join(dir, "..2026_2", "wxA"), "canarysecret-two")
	programtest.WriteFile(t, filepath.Join(dir, "..2026_2", "wxB"), "canarysecret-b")
	require.NoError(t, os.Symlink("..2026_2", filepath.Join(dir, "..data_tmp")))
	require.NoError(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	require.NoError(t, os.Symlink("..data/wxB", filepath.Join(dir, "wxB")))
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "..2026_1")))
	secret, err = found[0].Secret()
	require.NoError(t, err)
	assertSame(t, "canarysecret-two", secret, "the secret is read again before every call, without a scan")
	s.mustScan(t)
	assert.Equal(t, []string{"wxA", "wxB"}, s.appIDs())
	assert.NotContains(t, s.log.String(), "level=WARN")
}

// A file that is not an account is warned of once.
func TestAccounts_OtherFilesWarnOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	programtest.WriteFile(t, filepath.Join(dir, "wxA"), testSecret)
	programtest.WriteFile(t, filepath.Join(dir, "wx.bak"), testSecret)
	programtest.WriteFile(t, filepath.Join(dir, ".hidden"), testSecret)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o755))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "dangling")))
	s := newScanned(t, dir)
	for range 3 {
		s.mustScan(t)
	}
	assert.Equal(t, []string{"wxA"}, s.appIDs())
	log := s.log.String()
	for _, name := range []string{"wx.bak", "folder", "dangling"} {
		assert.Equal(t, 1, strings.Count(log, filepath.Join(dir, name)), name)
	}
	assert.NotContains(t, log, "hidden")
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
	assert.Equal(t, 1, strings.Count(s.log.String(), "accounts folder unreadable"))

	programtest.WriteFile(t, filepath.Join(dir, "wxB"), testSecret)
	s.mustScan(t)
	assert.Equal(t, []string{"wxB"}, s.appIDs())
}

// The error of a wrong secret names the file and does not quote the secret.
func TestReadAccount_ErrorNamesTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for text, says := range map[string]string{
		" \n":                                "the secret is empty",
		"canarysecret canarysecret":          "the secret has a space",
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
