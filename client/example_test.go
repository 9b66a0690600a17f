package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// pod returns the Config of an app, with a memcached that has a token, and a sidecar.
func pod() (cfg client.Config, stop func()) {
	memcached := memcachetest.New()
	memcached.Put("wx1", t1, 0, 3600)
	memcached.Put("wxB", t3, 0, 3600)
	memcached.Put("wx1:jsapi_ticket", "canarytoken-ticket", 0, 3600)
	fake := newFakeSidecar()
	fake.current["wx1/jsapi_ticket"] = "canarytoken-ticket"
	sidecar := httptest.NewServer(fake)
	cfg = client.Config{
		AppID:     "wx1",
		Memcached: client.Memcached{Dial: memcached.Dial}, // instead of Servers: []string{"memcached:11211"}
		Sidecar:   sidecar.URL,
		Transport: http.DefaultTransport,
	}
	return cfg, func() {
		sidecar.Close()
		_ = memcached.Close()
	}
}

func Example() {
	cfg, stop := pod()
	defer stop()

	c, err := client.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = c.Close() }()

	token, err := c.AccessToken(context.Background())
	fmt.Println(token == t1, err)
	// Output: true <nil>
}

func ExampleNew() {
	_, err := client.New(client.Config{AppID: "wx 1", Sidecar: "127.0.0.1:7200"})
	fmt.Println(err)
	// Output:
	// client: invalid configuration: AppID: "wx 1" is not an AppID; use 1 to 64 letters, digits, _ or -
	// Sidecar: not a URL; use http://host:port or unix:///path
}

func ExampleFromEnv() {
	_ = os.Setenv("WECHAT_APPID", "wx1")
	defer func() { _ = os.Unsetenv("WECHAT_APPID") }()

	c, err := client.FromEnv()
	fmt.Println(c != nil, err)
	_ = c.Close()
	// Output: true <nil>
}

func ExampleConfigFromEnv() {
	_ = os.Setenv("WECHAT_APPID", "wx1")
	defer func() { _ = os.Unsetenv("WECHAT_APPID") }()

	cfg, err := client.ConfigFromEnv()
	if err != nil {
		fmt.Println(err)
		return
	}
	cfg.Local = 30 * time.Second // has no variable: it is the app's decision
	c, err := client.New(cfg)
	fmt.Println(c != nil, err)
	_ = c.Close()
	// Output: true <nil>
}

func ExampleClient_Close() {
	cfg, stop := pod()
	defer stop()
	c, _ := client.New(cfg)
	_ = c.Close()
	_, err := c.AccessToken(context.Background())
	fmt.Println(errors.Is(err, client.ErrClosed))
	// Output: true
}

func ExampleClient_AccessToken() {
	cfg, stop := pod()
	defer stop()
	c, _ := client.New(cfg)
	defer func() { _ = c.Close() }()

	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	token, err := c.AccessToken(ctx)
	fmt.Println(token == t1, err)
	// Output: true <nil>
}

func ExampleClient_Refresh() {
	cfg, stop := pod()
	defer stop()
	c, _ := client.New(cfg)
	defer func() { _ = c.Close() }()

	token, _ := c.AccessToken(context.Background())
	// … WeChat answers {"errcode":42001, …} to a request with it …
	next, err := c.Refresh(context.Background(), token)
	fmt.Println(next == token, err)
	// Output: false <nil>
}

func ExampleClient_Ticket() {
	cfg, stop := pod()
	defer stop()
	c, _ := client.New(cfg)
	defer func() { _ = c.Close() }()

	ticket, err := c.Ticket(context.Background(), client.JSAPI)
	fmt.Println(len(ticket) > 0, err)
	// Output: true <nil>
}

func ExampleClient_RefreshTicket() {
	cfg, stop := pod()
	defer stop()
	c, _ := client.New(cfg)
	defer func() { _ = c.Close() }()

	ticket, _ := c.Ticket(context.Background(), client.JSAPI)
	next, err := c.RefreshTicket(context.Background(), client.JSAPI, ticket)
	fmt.Println(next == ticket, err)
	// Output: false <nil>
}

func ExampleClient_JSConfig() {
	cfg, stop := pod()
	defer stop()
	c, _ := client.New(cfg)
	defer func() { _ = c.Close() }()

	config, err := c.JSConfig(context.Background(), "https://example.com/cart?item=1#top")
	fmt.Println(config.AppID, config.URL, len(config.Signature), err)
	// Output: wx1 https://example.com/cart?item=1 40 <nil>
}

func ExampleClient_Login() {
	cfg, stop := pod()
	defer stop()
	c, _ := client.New(cfg)
	defer func() { _ = c.Close() }()

	user, err := c.Login(context.Background(), "the code of wx.login")
	var refusal *client.Error
	switch {
	case errors.As(err, &refusal) && refusal.RetryAfter > 0:
		fmt.Println("the same code can be sent again")
	case err != nil:
		fmt.Println("the mini program needs another code")
	default:
		fmt.Println(user.OpenID, user.SessionKey) // the session key stays here
	}
	// Output: the mini program needs another code
}

func ExampleClient_OAuth() {
	cfg, stop := pod()
	defer stop()
	c, _ := client.New(cfg)
	defer func() { _ = c.Close() }()

	handler := func(w http.ResponseWriter, r *http.Request) {
		cookie, err := r.Cookie("state") // which the app set before it sent the user to WeChat
		if err != nil || r.FormValue("state") != cookie.Value {
			http.Error(w, "another state", http.StatusForbidden)
			return
		}
		user, err := c.OAuth(r.Context(), r.FormValue("code"))
		_, _ = fmt.Fprintln(w, user.OpenID, err)
	}
	w := httptest.NewRecorder()
	handler(w, httptest.NewRequest(http.MethodGet, "/callback?code=c&state=forged", nil))
	fmt.Println(w.Code)
	// Output: 403
}

func ExampleClient_For() {
	cfg, stop := pod()
	defer stop()
	c, _ := client.New(cfg)
	defer func() { _ = c.Close() }()

	token, err := c.For("wxB").AccessToken(context.Background())
	fmt.Println(token == t3, err)
	// Output: true <nil>
}

func ExampleError() {
	cfg, stop := pod()
	defer stop()
	c, _ := client.New(cfg)
	defer func() { _ = c.Close() }()

	_, err := c.Ticket(context.Background(), client.WXCard)
	var refusal *client.Error
	if errors.As(err, &refusal) {
		fmt.Println(refusal.Code, refusal.Message, refusal.RetryAfter)
	}
	// Output: 404 not configured: WECHAT_TICKETS 0s
}

func ExampleClient_HTTPClient() {
	cfg, stop := pod()
	defer stop()
	weixin := httptest.NewServer(wechat(t1, "40001")) // in place of https://api.weixin.qq.com
	defer weixin.Close()
	cfg.WeChatHosts = []string{"127.0.0.1"}
	c, _ := client.New(cfg)
	defer func() { _ = c.Close() }()

	hc := c.HTTPClient(&http.Client{Timeout: 20 * time.Second})
	resp, err := hc.Post(weixin.URL+"/cgi-bin/message/custom/send", "application/json", strings.NewReader(`{"touser":"o1"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(string(body))
	// Output: {"errcode":0,"errmsg":"ok"}
}

func ExampleClient_GetAccessToken() {
	cfg, stop := pod()
	defer stop()
	c, _ := client.New(cfg)
	defer func() { _ = c.Close() }()

	// officialAccount.SetAccessTokenHandle(c)
	token, err := c.GetAccessToken()
	fmt.Println(token == t1, err)
	// Output: true <nil>
}

func ExampleClient_GetAccessTokenContext() {
	cfg, stop := pod()
	defer stop()
	c, _ := client.New(cfg)
	defer func() { _ = c.Close() }()

	token, err := c.GetAccessTokenContext(context.Background())
	fmt.Println(token == t1, err)
	// Output: true <nil>
}

func ExampleClient_AccessTokenServer() {
	cfg, stop := pod()
	defer stop()
	c, _ := client.New(cfg)
	defer func() { _ = c.Close() }()

	// core.NewClient(c.AccessTokenServer(), nil)
	token, err := c.AccessTokenServer().Token()
	fmt.Println(token == t1, err)
	// Output: true <nil>
}

func ExamplePowerWeChat() {
	cfg, stop := pod()
	defer stop()
	c, _ := client.New(cfg)
	defer func() { _ = c.Close() }()

	// app.AccessToken.GetCustomToken = client.PowerWeChat[object.HashMap](c)
	get := client.PowerWeChat[map[string]any](c)
	fmt.Println(get("", false)["access_token"] == t1)
	// Output: true
}
