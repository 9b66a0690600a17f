package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache"
)

// runToken prints the token that an app gets. It uses the client library and its
// variables, or those of a sidecar: SIDECAR_LISTEN if there is no SIDECAR_URL.
func runToken(ctx context.Context, i *invocation) int {
	flags := flag.NewFlagSet("token", flag.ContinueOnError)
	watch := flags.Bool("watch", false, "print fingerprint, source and age every second instead of the token")
	if exit, ok := i.parse(flags, 1); !ok {
		return exit
	}
	appID := cmp.Or(flags.Arg(0), os.Getenv("WECHAT_APPID"))
	if flags.Arg(0) != "" && !memcache.ValidAppID(appID) {
		return i.misused(flags, "the argument is not an AppID: use 1 to 64 letters, digits, _ or -")
	}
	if flags.Arg(0) == "" && strings.Contains(appID, ",") { // of a sidecar with SIDECAR_UPSTREAM
		return i.misused(flags, "WECHAT_APPID has several accounts: name one as the argument")
	}
	if appID == "" { // of a sidecar with WECHAT_ACCOUNTS_DIR
		return i.misused(flags, "WECHAT_APPID is not set: name an account as the argument")
	}
	if err := os.Setenv("WECHAT_APPID", appID); err != nil { // it can be a list, and the client requires one
		return i.failed(err)
	}
	if os.Getenv("SIDECAR_UPSTREAM") != "" { // SIDECAR_CA_FILE is the upstream's
		if err := os.Unsetenv("SIDECAR_CA_FILE"); err != nil {
			return i.failed(err)
		}
	}
	cfg, err := client.ConfigFromEnv()
	if err != nil {
		_ = i.failed(err)
		return exitBadUsage
	}
	if listen := os.Getenv("SIDECAR_LISTEN"); listen != "" && os.Getenv("SIDECAR_URL") == "" { // the variables are a sidecar's
		if err = askOwn(&cfg, listen, os.Getenv("SIDECAR_TLS_CERT_FILE")); err != nil {
			return i.failed(err)
		}
	}
	var source client.Source // of the last read
	cfg.Observe = func(o client.Observation) { source = o.Source }
	root, err := client.New(cfg)
	if err != nil {
		return i.failed(err)
	}
	defer func() { _ = root.Close() }()
	app := root.For(appID)
	if *watch {
		return i.watchToken(ctx, app, appID, &source)
	}
	token, err := app.AccessToken(ctx)
	if err != nil {
		return i.failed(err)
	}
	if _, err := fmt.Fprintln(i.stdout, token); err != nil {
		return i.failed(err)
	}
	return exitFine
}

// watchEvery is the time between two lines of token --watch.
const watchEvery = time.Second

// watchToken prints a line every second until ctx ends, whether reads fail or not.
func (i *invocation) watchToken(ctx context.Context, app *client.Client, appID string, source *client.Source) int {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var print string
	var since time.Time
	for {
		token, err := app.AccessToken(ctx)
		if ctx.Err() != nil {
			return exitFine
		}
		now := time.Now()
		line := fmt.Sprintf("%s %s", now.Format(time.TimeOnly), appID)
		if err != nil {
			line += fmt.Sprintf("  no token: %v", err)
		} else {
			if p := memcache.Fingerprint(token); p != print {
				print, since = p, now
			}
			line += fmt.Sprintf("  %s  from %-9s  seen for %s", print, *source, now.Sub(since).Round(time.Second))
		}
		if _, err := fmt.Fprintln(i.stdout, line); err != nil {
			return i.failed(err)
		}
		select {
		case <-ctx.Done():
			return exitFine
		case <-tick.C:
		}
	}
}
