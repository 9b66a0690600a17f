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

// contestant is where the workers of this process get their tokens.
type contestant struct {
	token   func() (string, error)
	refused func(token string) (string, error) // WeChat refused it; nil: there is no way to say so
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
	return contestant{}, fmt.Errorf("there is no contestant %q", name)
}

func appID() string     { return os.Getenv("WECHAT_APPID") }
func appSecret() string { return os.Getenv("WECHAT_APPSECRET") }

// newSilenceper is set up as its README does it, with the cache that it has for
// memcached. Nothing in it takes the report of a refused token. A token that comes
// together with an error is none, as in the SDK's own calls.
func newSilenceper(stable bool) contestant {
	account := silenceper.NewWechat().GetOfficialAccount(&config.Config{
		AppID: appID(), AppSecret: appSecret(), Cache: cache.NewMemcache(os.Getenv("MEMCACHED_SERVERS")), UseStableAK: stable,
	})
	return contestant{token: account.GetAccessToken}
}

// newChanxuehong is set up as its README does it. RefreshToken is what the SDK's
// own client calls for a refused token, before it repeats the call once.
func newChanxuehong() contestant {
	server := chanxuehong.NewDefaultAccessTokenServer(appID(), appSecret(), nil)
	return contestant{token: server.Token, refused: server.RefreshToken}
}

// newWxsidecar is the Go client as its README has it. It is told neither WeChat's
// address nor the AppSecret.
func newWxsidecar() (contestant, error) {
	if appSecret() != "" {
		return contestant{}, errors.New("the AppSecret is the sidecar's alone")
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
