package demo

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"path/filepath"
)

// The status page's other accounts: what their AppIDs end with.
const (
	healthySuffix = "-healthy"
	failingSuffix = "-failing"
)

// newAppSecret returns an AppSecret of WeChat's form: 32 hexadecimal digits.
func newAppSecret() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // it never fails
	return hex.EncodeToString(random[:])
}

// writeAccounts makes the folder of those accounts. WeChat refuses the AppSecret of
// one of them.
func (d *demo) writeAccounts() (folder string, remove func(), err error) {
	if folder, err = os.MkdirTemp("", "wxsidecar-demo"); err != nil {
		return "", nil, err
	}
	remove = func() { _ = os.RemoveAll(folder) } // only the fake WeChat knows these secrets
	for _, suffix := range []string{healthySuffix, failingSuffix} {
		appSecret := newAppSecret()
		d.wechat.AddAccount(d.appID+suffix, appSecret)
		if suffix == failingSuffix {
			appSecret = newAppSecret()
		}
		if err = os.WriteFile(filepath.Join(folder, d.appID+suffix), []byte(appSecret), 0o600); err != nil {
			remove()
			return "", nil, err
		}
	}
	return folder, remove, nil
}
