package demo

import (
	"crypto/rand"
	"os"
	"path/filepath"
)

// The status page's other accounts: what their AppIDs end with.
const (
	healthySuffix = "-healthy"
	failingSuffix = "-failing"
)

// writeAccounts makes the folder of those accounts. WeChat refuses the AppSecret of
// one of them.
func (d *demo) writeAccounts() (folder string, remove func(), err error) {
	if folder, err = os.MkdirTemp("", "wxsidecar-demo"); err != nil {
		return "", nil, err
	}
	remove = func() { _ = os.RemoveAll(folder) } // only the fake WeChat knows these secrets
	for _, suffix := range []string{healthySuffix, failingSuffix} {
		appSecret := rand.Text()
		d.wechat.AddAccount(d.appID+suffix, appSecret)
		if suffix == failingSuffix {
			appSecret = rand.Text()
		}
		if err = os.WriteFile(filepath.Join(folder, d.appID+suffix), []byte(appSecret), 0o600); err != nil {
			remove()
			return "", nil, err
		}
	}
	return folder, remove, nil
}
