package k8s_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/realmemcached"
)

// A real memcached with the command of the manifest, and of the Compose file, neither
// lists its keys nor lets a program empty it.
func TestMemcached_RefusesDumpAndFlush(t *testing.T) {
	commands := map[string][]string{
		"kubernetes": build(t, "memcached").deployments["memcached"].Spec.Template.Spec.Containers[0].Command,
		"compose":    compose(t, composeFile).Services["memcached"].Command,
	}
	for name, command := range commands {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, "memcached", command[0])
			m := realmemcached.Start(t, "", command[1:]...)
			require.Equal(t, "STORED", m.Ask(t, "set wx1 0 60 1\r\nx"))
			for _, ask := range []string{"flush_all", "stats cachedump 1 0", "lru_crawler metadump all"} {
				assert.Regexp(t, "^(CLIENT_)?ERROR .*(not allowed|disabled)", m.Ask(t, ask), ask)
			}
			assert.Equal(t, "VALUE wx1 0 1", m.Ask(t, "get wx1"))
		})
	}
}
