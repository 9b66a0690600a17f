// Package demo shows what wxsidecar does, in one process: a fake WeChat, a
// memcached, two sidecars and two apps. A script does to them what happens in
// production: a renewal, an external fetch, an empty memcached, and many reports
// of one invalid token. The demo checks its own claims and ends with a summary.
package demo

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

const (
	// tokenLife is short, so that renewals are seen. Real tokens last 7,200 s.
	tokenLife = 20 * time.Second
	// laterTokenLife follows when the script is over. Renewals every 10 s would use
	// up the sidecars' budget of ten requests in ten minutes.
	laterTokenLife = 4 * time.Minute
	// grace is how long the fake WeChat accepts a superseded token: the real 300 s,
	// in about the same proportion.
	grace = 5 * time.Second
	// scriptLength is how long the whole script takes.
	scriptLength = 30 * time.Second
)

// Config says what the demo runs with.
type Config struct {
	Out     io.Writer
	Environ []string      // MEMCACHED_SERVERS, MEMCACHED_KEY_PREFIX and NO_COLOR are used
	For     time.Duration // when the demo ends by itself; 0 means when its context ends

	// NewSidecar returns a sidecar with these variables, which listens already.
	NewSidecar func(ctx context.Context, environ []string, name string, log *slog.Logger) (Sidecar, error)
}

// Sidecar is one sidecar of the demo.
type Sidecar struct {
	API, Ops net.Addr
	Run      func(ctx context.Context) error // until ctx ends
	// Token returns the token that the sidecar answers with.
	Token func(ctx context.Context, appID string) (string, error)
}

// demo is the state of one run.
type demo struct {
	Config
	*narrator
	appID    string
	wechat   *wechattest.Server
	url      string               // WeChat's
	server   string               // memcached's address
	own      *memcachetest.Server // nil if MEMCACHED_SERVERS names one
	prefix   string
	store    *memcache.Store
	sidecars []Sidecar
	apps     []*app
	causes   []time.Time // of requests that the clock does not explain
	broken   []string    // claims that did not hold
	stops    []func()    // in the order of the starts
}

// Run runs the demo. It reports whether all claims held.
func Run(ctx context.Context, cfg Config) (held bool, err error) {
	d := &demo{Config: cfg, narrator: newNarrator(cfg.Out, cfg.Environ), appID: "wxdemo" + strings.ToLower(rand.Text()[:12])}
	err = d.run(ctx)
	return len(d.broken) == 0, err
}

// run starts everything, performs the script and prints the summary.
func (d *demo) run(ctx context.Context) error {
	defer func() {
		for _, stop := range slices.Backward(d.stops) {
			stop()
		}
	}()
	sidecarEnviron, err := d.startBackends(ctx)
	if err != nil {
		return err
	}
	if err := d.newSidecars(ctx, sidecarEnviron); err != nil {
		return err
	}
	script := scriptLength
	if d.For > 0 {
		script = min(script, d.For)
	}
	d.introduce(script)
	d.runSidecars(ctx)
	for i, one := range d.sidecars {
		app, err := newApp(d, fmt.Sprintf("app %c", 'a'+i), "http://"+one.API.String())
		if err != nil {
			return err
		}
		d.stops = append(d.stops, app.close)
		d.apps = append(d.apps, app)
	}
	if d.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.For)
		defer cancel()
	}
	err = d.play(ctx, script)
	d.summary()
	return err
}

// startBackends starts WeChat and memcached. It returns the sidecars' variables.
func (d *demo) startBackends(ctx context.Context) ([]string, error) {
	d.wechat = wechattest.New()
	d.wechat.SetExpiresIn(tokenLife)
	d.wechat.SetGrace(grace)
	d.wechat.OnRequest(d.announce)
	appSecret := newAppSecret()
	d.wechat.AddAccount(d.appID, appSecret)
	var stop func()
	var err error
	if d.url, stop, err = d.wechat.ListenHTTP(); err != nil {
		return nil, err
	}
	d.stops = append(d.stops, stop)
	if err := d.openMemcached(ctx); err != nil {
		return nil, err
	}
	if d.own != nil {
		d.stops = append(d.stops, func() { _ = d.own.Close() }) // the demo is over
	}
	if d.store, err = memcache.New(memcache.Config{Servers: []string{d.server}, Prefix: d.prefix}); err != nil {
		return nil, err
	}
	d.stops = append(d.stops, func() { _ = d.store.Close() }) // closes idle connections
	return []string{
		"WECHAT_APPID=" + d.appID, "WECHAT_APPSECRET=" + appSecret, "WECHAT_BASE_URL=" + d.url,
		"MEMCACHED_SERVERS=" + d.server, "MEMCACHED_KEY_PREFIX=" + d.prefix,
		"SIDECAR_LISTEN=127.0.0.1:0", "SIDECAR_OPS_LISTEN=127.0.0.1:0",
	}, nil
}

// newSidecars makes two sidecars. Only the first one has the accounts of the status page.
func (d *demo) newSidecars(ctx context.Context, environ []string) error {
	folder, remove, err := d.writeAccounts()
	if err != nil {
		return err
	}
	d.stops = append(d.stops, remove)
	for i, name := range []string{"sidecar a", "sidecar b"} {
		own := environ
		if i == 0 {
			own = append(own[:len(own):len(own)], "WECHAT_ACCOUNTS_DIR="+folder)
		}
		one, err := d.NewSidecar(ctx, own, strings.ReplaceAll(name, " ", "-"), d.logger(name)) // others read only names without spaces
		if err != nil {
			return err
		}
		d.sidecars = append(d.sidecars, one)
	}
	return nil
}

// runSidecars runs the sidecars until the apps have ended.
func (d *demo) runSidecars(ctx context.Context) {
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	var all sync.WaitGroup
	d.stops = append(d.stops, func() {
		end()
		all.Wait()
	})
	for _, one := range d.sidecars {
		all.Go(func() {
			if err := one.Run(running); err != nil {
				d.say("script", "a sidecar failed: %v", err)
			}
		})
	}
}

// play lets the apps read until ctx ends, and performs the script meanwhile.
func (d *demo) play(ctx context.Context, script time.Duration) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var reading sync.WaitGroup
	for _, app := range d.apps {
		reading.Go(func() { app.read(ctx) })
	}
	failed := d.perform(ctx, script)
	if failed != nil {
		cancel(failed)
	} else if d.For == 0 && wait(ctx, time.Until(d.start.Add(script))) {
		d.say("script", "the script is over; renewals continue; press Ctrl-C to end")
	}
	reading.Wait()
	return failed
}

// introduce prints what will happen, and where to look.
func (d *demo) introduce(script time.Duration) {
	host, port, _ := strings.Cut(d.server, ":")
	nc := host + " " + port
	if strings.HasPrefix(d.server, "/") {
		nc = "-U " + d.server
	}
	a := d.sidecars[0]
	d.plain("A fake WeChat, a memcached, two sidecars and two apps, all in this process.")
	d.plain("Tokens last %s here instead of two hours. They show as the first 8 digits of their SHA-256.", tokenLife)
	d.plain("One sidecar renews the token for both every %s. After %s another program fetches a token,", tokenLife/2, atExternalFetch.of(script))
	d.plain("after %s memcached loses everything, and after %s apps report an invalid token.", atFlush.of(script), atReport.of(script))
	d.plain("")
	d.plain("  WeChat      %s", d.url)
	d.plain("  memcached   %s    printf 'get %s\\r\\nquit\\r\\n' | nc %s", d.server, d.prefix+d.appID, nc)
	for i, one := range d.sidecars {
		d.plain("  sidecar %c   http://%s    status page: http://%s/", 'a'+i, one.API, one.Ops)
	}
	d.plain("              curl -H 'X-Wxsidecar: 1' http://%s/v1/%s/access_token", a.API, d.appID)
	d.plain("")
	d.plain("The page of sidecar a shows two more accounts. WeChat refuses the AppSecret of one of them.")
	d.plain("To connect your own app, or `sidecar token --watch`:")
	d.plain("")
	d.plain("  export WECHAT_APPID=%s MEMCACHED_SERVERS=%s SIDECAR_URL=http://%s", d.appID, d.server, a.API)
	if d.prefix != "" {
		d.plain("  export MEMCACHED_KEY_PREFIX=%s", d.prefix)
	}
	d.plain("")
}
