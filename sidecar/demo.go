package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

const (
	// demoLife is the life of the demo's tokens, so that one sees renewals; the
	// real ones live 7,200 s.
	demoLife = 20 * time.Second
	// demoRest is their life once the script is over: with shorter ones the sidecars
	// would use up their budget of ten requests in ten minutes.
	demoRest = 4 * time.Minute
	// demoGrace is the 300 s of the real WeChat in the same proportion as far as
	// one can wait for it.
	demoGrace = 5 * time.Second
	// demoScript is how long the demo takes to show everything.
	demoScript = 30 * time.Second
)

// demo is a world in one process: a fake WeChat, a memcached, two sidecars, and
// an app beside each of them.
type demo struct {
	*narrator
	appID    string
	wechat   *wechattest.Server
	server   string               // memcached's address
	own      *memcachetest.Server // nil where MEMCACHED_SERVERS names one
	prefix   string
	sidecars []*daemon
	apps     []*demoApp
	causes   []time.Time // when something happened that asks for one more call
	broken   []string    // claims that did not hold
}

func runDemo(ctx context.Context, i *invocation) int {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	length := flags.Duration("for", 0, "end by itself after this time, with a summary; 0 means on Ctrl-C")
	if exit, ok := i.parse(flags, 0); !ok {
		return exit
	}
	if *length < 0 {
		return i.misused(flags, "--for is below zero")
	}
	d := &demo{narrator: newNarrator(i.stdout, i.environ), appID: "wxdemo" + strings.ToLower(rand.Text()[:10])}
	if err := d.play(ctx, i.environ, *length); err != nil {
		return i.failed(err)
	}
	if len(d.broken) > 0 {
		return exitFailed
	}
	return exitFine
}

// play builds the world, lets the script run in it, and tells how it went.
func (d *demo) play(ctx context.Context, environ []string, length time.Duration) error {
	var stops []func()
	defer func() {
		for i := range stops {
			stops[len(stops)-1-i]()
		}
	}()
	d.wechat = wechattest.New()
	d.wechat.SetExpiresIn(demoLife)
	d.wechat.SetGrace(demoGrace)
	appSecret := rand.Text()
	d.wechat.AddAccount(d.appID, appSecret)
	folder, remove, err := d.openAccounts()
	if err != nil {
		return err
	}
	stops = append(stops, remove)
	url, stop, err := d.wechat.ListenHTTP()
	if err != nil {
		return err
	}
	stops = append(stops, stop)
	if err := d.openMemcached(ctx, environ); err != nil {
		return err
	}
	if d.own != nil {
		stops = append(stops, func() { _ = d.own.Close() }) // the demo is over
	}

	running, end := context.WithCancel(context.WithoutCancel(ctx)) // the sidecars outlive the apps
	var sidecars sync.WaitGroup
	stops = append(stops, func() {
		end()
		sidecars.Wait()
	})
	for i, name := range []string{"sidecar a", "sidecar b"} {
		settings := []string{
			"WECHAT_APPID=" + d.appID, "WECHAT_APPSECRET=" + appSecret, "WECHAT_BASE_URL=" + url,
			"MEMCACHED_SERVERS=" + d.server, "MEMCACHED_KEY_PREFIX=" + d.prefix,
			"SIDECAR_LISTEN=127.0.0.1:0", "SIDECAR_OPS_LISTEN=127.0.0.1:0",
		}
		if i == 0 {
			settings = append(settings, "WECHAT_ACCOUNTS_DIR="+folder)
		}
		cfg, found := parse(settings)
		if len(found) > 0 {
			return errors.New(found.String())
		}
		one, err := newDaemon(ctx, cfg, parts{Name: name, Log: d.logger(name)})
		if err != nil {
			return err
		}
		d.sidecars = append(d.sidecars, one)
	}
	script := demoScript
	if length > 0 {
		script = min(script, length)
	}
	d.introduce(script, url)
	for _, one := range d.sidecars {
		sidecars.Go(func() {
			if err := one.run(running); err != nil {
				d.say("script", "a sidecar failed: %v", err)
			}
		})
	}

	for i, one := range d.sidecars {
		app, err := newDemoApp(d, fmt.Sprintf("app %c", 'a'+i), "http://"+one.apiAt.Addr().String())
		if err != nil {
			return err
		}
		stops = append(stops, app.close)
		d.apps = append(d.apps, app)
	}
	limited, cancel := ctx, context.CancelFunc(func() {})
	if length > 0 {
		limited, cancel = context.WithTimeout(ctx, length)
	}
	defer cancel()
	tasks := []func(context.Context) error{func(ctx context.Context) error {
		if err := d.perform(ctx, script); err != nil {
			return err
		}
		if length == 0 && wait(ctx, time.Until(d.start.Add(script))) {
			d.say("script", "that was all; the renewals go on, Ctrl-C ends")
		}
		<-ctx.Done()
		return nil
	}}
	for _, app := range d.apps {
		tasks = append(tasks, app.read)
	}
	err = together(limited, tasks...)
	d.summary()
	return err
}

// introduce tells what will happen, and where to look.
func (d *demo) introduce(script time.Duration, url string) {
	host, port, _ := strings.Cut(d.server, ":")
	reach := host + " " + port
	if strings.HasPrefix(d.server, "/") {
		reach = "-U " + d.server
	}
	a := d.sidecars[0]
	d.plain("One WeChat (a fake one), one memcached, two sidecars, two apps, all in this process.")
	d.plain("Tokens live %s here instead of two hours, and show as the first 8 digits of their SHA-256.", demoLife)
	d.plain("Watch one sidecar renew them for both every %s, a theft after %s, memcached emptied after %s,",
		demoLife/2, atTheft.of(script), atFlush.of(script))
	d.plain("and a token reported as refused after %s.", atReport.of(script))
	d.plain("")
	d.plain("  WeChat      %s", url)
	d.plain("  memcached   %s    printf 'get %s\\r\\nquit\\r\\n' | nc %s", d.server, d.prefix+d.appID, reach)
	for i, one := range d.sidecars {
		d.plain("  sidecar %c   http://%s    status page: http://%s/", 'a'+i, one.apiAt.Addr(), one.opsAt.Addr())
	}
	d.plain("              curl -H 'X-Wxsidecar: 1' http://%s/v1/%s/access_token", a.apiAt.Addr(), d.appID)
	d.plain("")
	d.plain("The page of sidecar a shows two more accounts: one that is well, and one whose AppSecret WeChat refuses.")
	d.plain("Point an app of your own at it, or `sidecar token --watch`:")
	d.plain("")
	d.plain("  export WECHAT_APPID=%s MEMCACHED_SERVERS=%s SIDECAR_URL=http://%s", d.appID, d.server, a.apiAt.Addr())
	if d.prefix != "" {
		d.plain("  export MEMCACHED_KEY_PREFIX=%s", d.prefix)
	}
	d.plain("")
}
