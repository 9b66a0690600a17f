package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/ring"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/mirror"
	"github.com/wxsidecar/wxsidecar/sidecar/web"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// closeWithin is what renewals under way get to finish. With the answers to
// what waits for them, all ends within 5 s of SIGTERM.
const closeWithin = 3500 * time.Millisecond

// memcachedIdle is how many idle connections are kept. A sidecar at rest looks with
// one; each costs 8 KB.
const memcachedIdle = 8

// parts are what a daemon needs beside its configuration.
type parts struct {
	Name string       // this sidecar's, for people
	Log  *slog.Logger // nil is not allowed
	// Transport carries the calls to WeChat; nil means the wechat package's own.
	Transport http.RoundTripper
}

// daemon is one sidecar: a group of credentials, two listeners, a folder of
// accounts.
type daemon struct {
	group    *keeper.Group
	store    *memcache.Store
	accounts *accounts
	mirror   *mirror.Mirror
	trim     *trim

	api, ops     http.Handler
	apiAt, opsAt net.Listener // opsAt is nil where it is off
}

// newDaemon wires a sidecar and binds its addresses: nothing is asked of WeChat
// before both are its own.
func newDaemon(ctx context.Context, cfg config, p parts) (*daemon, error) {
	metrics := web.NewMetrics()
	store, err := memcache.New(memcache.Config{
		Servers: cfg.Servers, Hash: ring.Hash(cfg.Hash), Prefix: cfg.KeyPrefix, Timeout: cfg.MemcachedTimeout,
		Observe:      metrics.ObserveMemcached,
		MaxIdleConns: memcachedIdle,
	})
	if err != nil {
		return nil, err
	}
	caller, err := wechat.New(wechat.Config{
		BaseURLs: cfg.BaseURLs, Timeout: cfg.WeChatTimeout, Transport: p.Transport, Observe: metrics.ObserveWeChat,
	})
	if err != nil {
		return nil, err
	}
	d := &daemon{store: store, trim: newTrim(), mirror: mirror.New(cfg.mirrors(p.Log))}
	d.group = keeper.New(keeper.Config{
		Store: store, WeChat: caller, API: wechat.API(cfg.TokenAPI), Name: p.Name, Log: p.Log, Changed: d.mirror.Changed,
	})
	d.accounts = newAccounts(cfg, d.mirror, d.trim, p.Log)
	if d.api, err = web.NewAPI(web.APIConfig{
		Group: d.group, BearerFile: cfg.AuthTokenFile, Compat: cfg.Compat, Metrics: metrics, Log: p.Log,
	}); err != nil {
		return nil, err
	}
	d.ops = web.NewOps(web.OpsConfig{
		Group: d.group, Metrics: metrics, API: wechat.API(cfg.TokenAPI), Name: p.Name, Version: versionName(), Servers: cfg.Servers, Mirrors: d.mirror.States, Log: p.Log,
	})
	if d.apiAt, err = web.Listen(ctx, cfg.Listen); err != nil {
		return nil, fmt.Errorf("SIDECAR_LISTEN: %w; is another sidecar running there?", err)
	}
	if cfg.OpsListen == off {
		return d, nil
	}
	if d.opsAt, err = web.Listen(ctx, cfg.OpsListen); err != nil {
		_ = d.apiAt.Close()
		return nil, fmt.Errorf("SIDECAR_OPS_LISTEN: %w; is another sidecar running there?", err)
	}
	return d, nil
}

// run keeps everything until ctx ends or something fails, then waits for all of
// it. Health answers to the last.
func (d *daemon) run(ctx context.Context) error {
	// Before anything is answered: an app that asks at once must not hear that its
	// account is unknown.
	scanned := d.accounts.scan(d.group)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if scanned != nil {
		cancel() // all that follows ends at once, and closes what is open
	}
	opsCtx, endOps := context.WithCancel(context.WithoutCancel(ctx))
	defer endOps()
	opsEnded := make(chan error, 1)
	go func() {
		defer cancel()
		opsEnded <- d.serveOps(opsCtx)
	}()
	err := together(ctx, d.serveAPI, d.keep, d.follow, d.mirrors, d.trim.run)
	endOps()
	err = errors.Join(scanned, err, <-opsEnded)
	_ = d.store.Close() // closes idle connections: nothing is lost when one fails to
	return err
}

func (d *daemon) serveAPI(ctx context.Context) error { return web.Serve(ctx, d.apiAt, d.api) }

func (d *daemon) serveOps(ctx context.Context) error {
	if d.opsAt == nil {
		<-ctx.Done()
		return nil
	}
	return web.ServeOps(ctx, d.opsAt, d.ops)
}

// keep looks and renews until ctx ends, then lets what is under way finish.
func (d *daemon) keep(ctx context.Context) error {
	d.group.Run(ctx)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	d.group.Close(ctx)
	return nil
}

func (d *daemon) follow(ctx context.Context) error { return d.accounts.follow(ctx, d.group) }

// mirrors writes what is kept elsewhere too.
func (d *daemon) mirrors(ctx context.Context) error {
	d.mirror.Run(ctx)
	return nil
}

// together runs tasks until all have ended, and returns their errors. The first
// that fails ends the context of the others.
func together(ctx context.Context, tasks ...func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(tasks))
	var running sync.WaitGroup
	for i, task := range tasks {
		running.Go(func() {
			if errs[i] = task(ctx); errs[i] != nil {
				cancel()
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}
