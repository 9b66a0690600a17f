package wechattest_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

func Example() {
	fake := wechattest.New()
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
	cred, err := c.Fetch(context.Background(), wechat.Request{API: wechat.Token, AppID: "wx1", Secret: "canarysecret"})
	fmt.Println(cred.ExpiresIn, err, fake.Accepts(cred.Value), fake.Requests("wx1", "token"))
	// Output: 2h0m0s <nil> 0 1
}

func ExampleServer_OnRequest() {
	fake := wechattest.New()
	fake.AddAccount("wx1", "canarysecret")
	fake.OnRequest(func(request wechattest.Request) wechattest.Answer {
		if request.N == 1 { // the first request is processed, and its answer lost
			return wechattest.Answer{Kind: wechattest.IssuedNoAnswer}
		}
		return wechattest.Answer{}
	})
	transport, stop := fake.Pipe()
	defer stop()

	c, err := wechat.New(wechat.Config{BaseURLs: []string{"http://127.0.0.1"}, Transport: transport, Timeout: time.Second})
	if err != nil {
		panic(err)
	}
	for range 2 {
		_, err = c.Fetch(context.Background(), wechat.Request{API: wechat.Token, AppID: "wx1", Secret: "canarysecret"})
		fmt.Println(err == nil, fake.Issues("wx1"))
	}
	// Output:
	// false 1
	// true 2
}

func ExampleServer_FailAll() {
	fake := wechattest.New()
	fake.FailAll(40164)
	text, _, _ := strings.Cut(wechattest.Errmsg(40164, time.Unix(0x65f0a1b2, 0)), "-")
	fmt.Println(text)
	fake.Heal()
	// Output: invalid ip 1.2.3.4 ipv6 ::ffff:1.2.3.4, not in whitelist rid: 65f0a1b2
}
