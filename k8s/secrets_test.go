package k8s_test

import (
	"path"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	accountsSecret = "wechat-accounts"
	bearerSecret   = "wxsidecar-bearer"
)

func TestSecrets_ExamplesOnly(t *testing.T) {
	secrets := examples(t)
	assert.Equal(t, []string{accountsSecret, bearerSecret}, sorted(secrets))
	for name, secret := range secrets {
		assert.Empty(t, secret.Data, "%s: base64 hides the example from its reader", name)
		assert.False(t, deref(secret.Immutable, false), "%s could not be rotated in place", name)
		require.NotEmpty(t, secret.StringData, name)
		for key, text := range secret.StringData {
			assert.Regexp(t, `^replace-me-with-`, text, "%s: %s", name, key)
		}
	}
	for appID := range secrets[accountsSecret].StringData {
		assert.Regexp(t, `^[A-Za-z0-9_-]{1,64}$`, appID)
	}
}

func TestSecrets_CommandsNameTheirKeys(t *testing.T) {
	secrets := examples(t)
	commands := words(t, secretExample, `kubectl create secret generic (\S+ --from-\w+-?\w*=[\w-]+)=`)
	assert.Equal(t, []string{
		accountsSecret + " --from-file=" + sorted(secrets[accountsSecret].StringData)[0],
		bearerSecret + " --from-literal=" + sorted(secrets[bearerSecret].StringData)[0],
	}, commands)
}

func TestSecrets_HaveTheAppIDs(t *testing.T) {
	accounts := examples(t)[accountsSecret].StringData
	for _, p := range pods(t) {
		t.Run(p.name, func(t *testing.T) {
			for _, c := range p.containers() {
				if appID := value(&c, "WECHAT_APPID"); appID != "" {
					assert.Contains(t, accounts, appID, "container %s", c.Name)
				}
			}
		})
	}
}

func TestSecrets_MountedBySidecarsAlone(t *testing.T) {
	for _, p := range pods(t) {
		t.Run(p.name, func(t *testing.T) {
			for _, v := range p.Spec.Volumes {
				if v.Secret == nil {
					continue
				}
				assert.Contains(t, examples(t), v.Secret.SecretName)
				assert.Empty(t, v.Secret.Items, "%s: later keys would be missing", v.Name)
				assert.EqualValues(t, 0o444, deref(v.Secret.DefaultMode, 0o644), "%s: read-only, and readable without fsGroup", v.Name)
				for _, c := range p.containers() {
					mount := mountOf(&c, v.Name)
					if mount == nil {
						continue
					}
					assert.True(t, runsSidecar(&c), "%s must not see %s", c.Name, v.Name)
					assert.True(t, mount.ReadOnly)
					assert.Empty(t, mount.SubPath, "a subPath is never updated")
				}
			}
			for _, c := range p.containers() {
				for _, e := range c.Env {
					assert.True(t, e.ValueFrom == nil || e.ValueFrom.SecretKeyRef == nil, "%s: %s never changes", c.Name, e.Name)
				}
			}
		})
	}
}

func TestSecrets_VariablesMatchMounts(t *testing.T) {
	for _, p := range pods(t) {
		t.Run(p.name, func(t *testing.T) {
			c := p.sidecar()
			if c == nil {
				return
			}
			assert.Equal(t, folderOf(p, accountsSecret), value(c, "WECHAT_ACCOUNTS_DIR"))
			bearer := ""
			if folder := folderOf(p, bearerSecret); folder != "" {
				bearer = path.Join(folder, sorted(examples(t)[bearerSecret].StringData)[0])
			}
			assert.Equal(t, bearer, value(c, "SIDECAR_AUTH_TOKEN_FILE"))
		})
	}
}

// folderOf returns the path at which the pod's sidecar mounts a Secret, or "".
func folderOf(p pod, secret string) string {
	for _, v := range p.Spec.Volumes {
		if v.Secret != nil && v.Secret.SecretName == secret {
			if mount := mountOf(p.sidecar(), v.Name); mount != nil {
				return mount.MountPath
			}
		}
	}
	return ""
}
