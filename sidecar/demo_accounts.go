package main

import (
	"crypto/rand"
	"os"
	"path/filepath"
)

// Accounts that the demo keeps beside its own for the status page, by how their
// AppIDs end.
const (
	demoWell = "-well"
	demoIll  = "-ill"
)

// openAccounts makes the folder of those accounts: WeChat refuses the AppSecret
// of one of them.
func (d *demo) openAccounts() (folder string, remove func(), err error) {
	if folder, err = os.MkdirTemp("", "wxsidecar-demo"); err != nil {
		return "", nil, err
	}
	remove = func() { _ = os.RemoveAll(folder) } // what is left holds the secrets of a WeChat that is gone
	for _, end := range []string{demoWell, demoIll} {
		appSecret := rand.Text()
		d.wechat.AddAccount(d.appID+end, appSecret)
		if end == demoIll {
			appSecret = rand.Text()
		}
		if err = os.WriteFile(filepath.Join(folder, d.appID+end), []byte(appSecret), 0o600); err != nil {
			remove()
			return "", nil, err
		}
	}
	return folder, remove, nil
}
