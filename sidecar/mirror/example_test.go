package mirror_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/mirror"
)

func Example() {
	folder, _ := os.MkdirTemp("", "wx")
	defer func() { _ = os.RemoveAll(folder) }()
	m := mirror.New(mirror.Config{File: filepath.Join(folder, "access_token.json")})
	m.SetAccounts([]string{"wx0123456789abcdef"})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		m.Run(ctx)
	}()
	// The keeper tells it, by keeper.Config.Changed.
	m.Changed(keeper.Change{
		AppID: "wx0123456789abcdef", Kind: memcache.AccessToken, Value: "94_abc", Number: 1, Expires: time.Unix(4_000_003_660, 0), Own: true,
	})
	text := []byte(nil)
	for len(text) == 0 {
		text, _ = os.ReadFile(filepath.Join(folder, "access_token.json"))
	}
	stop()
	<-ended
	fmt.Println(string(text))
	// Output: {"access_token":"94_abc","expires_time":4000000000}
}
