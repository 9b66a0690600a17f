//go:build cluster

package e2e_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A token of this lifetime is due at half of it. Two and a half minutes are left for
// the rotation: the kubelet updates a changed Secret after 60 to 90 s by default, and
// a sidecar polls every 10 to 15 s.
const (
	rotationLife = 320 * time.Second
	kubeletSync  = 90 * time.Second
)

// rotation changes the AppSecret at WeChat first, waits until a renewal fails, and
// then changes the Secret.
func rotation(t *testing.T) {
	t.Parallel()
	s := newSpace(t, "rotation")
	s.withWeChat(t, rotationLife)
	s.withShared(t)
	s.applyOverlay(t, folder(app).withReader(app))
	s.rolledOut(t, "memcached", app)
	start := s.readOn(t, 5)

	s.secret = "canary" + "secret-rotated-of-" + s.name
	s.post(t, "account", object{"appid": appID, "secret": s.secret})
	poll(t, rotationLife/2+time.Minute, "WeChat has refused a renewal for the old AppSecret", func() (bool, string) {
		c := s.counts(t)
		return c.Refused > 0, fmt.Sprintf("%d requests, %d tokens", c.Requests, c.Issues)
	})
	age := time.Since(start.Issued[len(start.Issued)-1].At)

	s.keepAccounts(t, map[string]string{appID: s.secret})
	took := poll(t, kubeletSync+30*time.Second, "a token was renewed with the new AppSecret", func() (bool, string) {
		c := s.counts(t)
		return c.Issues > start.Issues, fmt.Sprintf("%d requests, %d tokens", c.Requests, c.Issues)
	})
	end := s.readOn(t, 20)
	require.Equal(t, start.Issues+1, end.Issues, "tokens")
	for name, b := range end.Readers {
		assert.Equal(t, end.Issued[end.Issues-1].Fingerprint, b.Last, "the token that %s read last", name)
	}
	end.flawless(t)
	unrestarted(t, s.pods(t, ""))
	t.Logf("refused at the token's age of %s, of %s; renewed %s after the Secret was applied; %d requests refused meanwhile; readers: %s",
		short(age), rotationLife, short(took), end.Refused, end.sum())
}
