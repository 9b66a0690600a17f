package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	chanxuehong "github.com/chanxuehong/wechat/mp/core"
	silenceper "github.com/silenceper/wechat/v2"
	"github.com/silenceper/wechat/v2/cache"
	"github.com/silenceper/wechat/v2/officialaccount/config"

	"github.com/wxsidecar/wxsidecar/client"
)

// contestant is how the workers of this process get their tokens.
type contestant struct {
	token   func() (string, error)
	refused func(token string) (string, error) // called after a refusal; nil: it takes no reports
}

func newContestant(name string) (contestant, error) {
	switch name {
	case "silenceper":
		return newSilenceper(false), nil
	case "silenceper-stable":
		return newSilenceper(true), nil
	case "chanxuehong":
		return newChanxuehong(), nil
	case "stable":
		return newStable(), nil
	case "wxsidecar":
		return newWxsidecar()
	}
	return contestant{}, fmt.Errorf("unknown contestant %q", name)
}

func appID() string     { return os.Getenv("WECHAT_APPID") }
func appSecret() string { return os.Getenv("WECHAT_APPSECRET") }

// newSilenceper follows the SDK's README, with its cache for memcached. It takes no
// report of a refused token. As in the SDK's own calls, a token with an error is none.
func newSilenceper(stable bool) contestant {
	account := silenceper.NewWechat().GetOfficialAccount(&config.Config{
		AppID: appID(), AppSecret: appSecret(), Cache: cache.NewMemcache(os.Getenv("MEMCACHED_SERVERS")), UseStableAK: stable,
	})
	return contestant{token: account.GetAccessToken}
}

// newChanxuehong follows the SDK's README. Its own client calls RefreshToken for a
// refused token, before it repeats the call once.
func newChanxuehong() contestant {
	server := chanxuehong.NewDefaultAccessTokenServer(appID(), appSecret(), nil)
	return contestant{token: server.Token, refused: server.RefreshToken}
}

// newWxsidecar follows the Go client's README. It gets neither WeChat's address nor
// the AppSecret.
func newWxsidecar() (contestant, error) {
	if appSecret() != "" {
		return contestant{}, errors.New("WECHAT_APPSECRET is set; only the sidecar needs it")
	}
	c, err := client.FromEnv()
	if err != nil {
		return contestant{}, err
	}
	return contestant{
		token:   func() (string, error) { return c.AccessToken(context.Background()) },
		refused: func(token string) (string, error) { return c.Refresh(context.Background(), token) },
	}, nil
}
