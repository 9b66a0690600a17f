package wechat_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

func ExampleClient_Fetch() {
	fake := wechattest.New() // instead of api.weixin.qq.com
	fake.AddAccount("wx1", "canarysecret")
	url, stop, err := fake.ListenHTTP()
	if err != nil {
		panic(err)
	}
	defer stop()

	c, err := wechat.New(wechat.Config{BaseURLs: []string{url}})
	if err != nil {
		panic(err)
	}
	defer c.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cred, err := c.Fetch(ctx, wechat.Request{API: wechat.Token, AppID: "wx1", Secret: "canarysecret"})
	fmt.Println(cred, err) // never shows the token itself
	// Output: credential of 136 bytes for 2h0m0s <nil>
}

func ExampleNew() {
	_, err := wechat.New(wechat.Config{BaseURLs: []string{
		wechat.DefaultBaseURL, "https://api2.weixin.qq.com", "http://sh.api.weixin.qq.com",
	}})
	fmt.Println(err)
	// Output: base URL 3: plain http to sh.api.weixin.qq.com would show the AppSecret to the network; use https (http is for loopback only)
}

func ExampleCheckBaseURL() {
	fmt.Println(wechat.CheckBaseURL("https://api2.weixin.qq.com"))
	fmt.Println(wechat.CheckBaseURL("https://user:password@api2.weixin.qq.com"))
	// Output:
	// <nil>
	// user or password in the URL; leave them out
}

func ExampleError() {
	fake := wechattest.New()
	fake.AddAccount("wx1", "canarysecret")
	fake.OnRequest(func(wechattest.Request) wechattest.Answer {
		return wechattest.Answer{Errcode: 40164, Errmsg: "invalid ip 1.2.3.4 ipv6 ::ffff:1.2.3.4, not in whitelist rid: 65f0a1b2-1a2b3c4d-5e6f7a8b"}
	})
	url, stop, err := fake.ListenHTTP()
	if err != nil {
		panic(err)
	}
	defer stop()

	c, err := wechat.New(wechat.Config{BaseURLs: []string{url}})
	if err != nil {
		panic(err)
	}
	_, err = c.Fetch(context.Background(), wechat.Request{API: wechat.Token, AppID: "wx1", Secret: "canarysecret"})
	var e *wechat.Error
	if errors.As(err, &e) {
		fmt.Println(e.Code, e.Class, e.EgressIP, e.MayHaveIssued)
	}
	// Output: 40164 person 1.2.3.4 false
}

func ExampleRequest() {
	r := wechat.Request{API: wechat.StableToken, AppID: "wx1", Secret: "canarysecret", Force: true}
	fmt.Printf("%v\n%#v\n", r, r)
	// Output:
	// stable_token of wx1 with force_refresh
	// wechat.Request{stable_token of wx1 with force_refresh}
}
