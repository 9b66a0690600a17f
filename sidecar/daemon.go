package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/memcache/ring"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/login"
	"github.com/wxsidecar/wxsidecar/sidecar/mirror"
	"github.com/wxsidecar/wxsidecar/sidecar/quota"
	"github.com/wxsidecar/wxsidecar/sidecar/verify"
	"github.com/wxsidecar/wxsidecar/sidecar/web"
	"github.com/wxsidecar/wxsidecar/sidecar/web/listener"
	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// closeWithin is how long open renewals have to finish after SIGTERM. With the answers
// to waiting callers, the program ends within 5 s.
const closeWithin = 3500 * time.Millisecond

// memcachedIdle is how many idle connections stay open. An idle sidecar polls over one.
// Each costs 8 KB.
const memcachedIdle = 8

// daemon is one sidecar: a group of credentials, its accounts and two listeners.
type daemon struct {
	group    *keeper.Group
	store    *memcache.Store
	accounts *accounts
	mirror   *mirror.Mirror
	memory   *memoryReleaser
	verifier *verify.Verifier // nil with an upstream
	quota    *quota.Watcher   // nil: off

	api, ops     http.Handler
	apiAt, opsAt net.Listener // opsAt is nil if it is off
	apiLimits    listener.Limits
}

// newDaemon wires a sidecar with this name and binds its addresses. It makes no request
// to WeChat.
func newDaemon(ctx context.Context, cfg config, name string, log *slog.Logger) (*daemon, error) {
	metrics, notes := web.NewMetrics(), &status.Notes{}
	d := &daemon{memory: newMemoryReleaser(), mirror: mirror.New(cfg.mirrors(log))}
	if err := d.openStore(cfg, metrics, notes, log); err != nil {
		return nil, err
	}
	keeps := keeper.Config{Store: d.store, ReadOnly: cfg.readOnly(), Name: name, Log: log, Changed: d.mirror.Changed}
	logins, err := d.source(cfg, &keeps, metrics, notes, log)
	if err != nil {
		return nil, err
	}
	d.group = keeper.New(keeps)
	d.accounts = newAccounts(cfg, d.mirror, d.memory, notes, d.verifier, log)
	if d.api, err = web.NewAPI(web.APIConfig{
		Group: d.group, BearerFile: cfg.AuthTokenFile, ReaderFile: cfg.readersFile(), Upstream: cfg.hasUpstream(), Compat: cfg.Compat, Login: logins,
		Metrics: metrics, Log: log,
	}); err != nil {
		return nil, err
	}
	d.ops = web.NewOps(web.OpsConfig{
		Group: d.group, Metrics: metrics, API: keeps.API, Name: name, Hosts: cfg.OpsHosts, Version: versionName(), Servers: cfg.Servers, Mirrors: d.mirror.States, Notes: notes, Log: log,
		Quota: d.watchQuota(cfg, keeps.WeChat, metrics, name, log),
	})
	if err = d.listen(ctx, cfg, log); err != nil {
		return nil, err
	}
	if cfg.OpsListen == off {
		return d, nil
	}
	if d.opsAt, err = listener.Open(ctx, cfg.OpsListen); err != nil {
		_ = d.apiAt.Close()
		return nil, fmt.Errorf("SIDECAR_OPS_LISTEN: %w; is another sidecar running there?", err)
	}
	return d, nil
}

// openStore opens memcached, or keeps all in this process.
func (d *daemon) openStore(cfg config, metrics *web.Metrics, notes *status.Notes, log *slog.Logger) (err error) {
	store := memcache.Config{
		Servers: cfg.Servers, Hash: ring.Hash(cfg.Hash), Prefix: cfg.KeyPrefix, Timeout: cfg.MemcachedTimeout, Security: cfg.security(),
		Observe:      metrics.ObserveMemcached,
		MaxIdleConns: memcachedIdle,
		SeveralAddresses: func(server string, several []string) {
			noteAddresses(notes, log, server, several)
		},
		Overlong: func(key string) {
			log.Warn("mark written by hand replaced", "key", key, "hint", "find out who writes to memcached: only sidecars write this key")
		},
	}
	if cfg.inMemory() {
		// A memcached within this process: so the keeper needs no other rules.
		store.Servers, store.Dial = []string{memcache.DefaultServer}, memcachetest.New().Dial
	}
	d.store, err = memcache.New(store)
	return err
}

// source sets where the keeper gets credentials from, and returns what exchanges users' codes;
// nil if that is off. With an upstream there is no AppSecret, and no client of WeChat that a
// bearer token could be sent with.
func (d *daemon) source(cfg config, keeps *keeper.Config, metrics *web.Metrics, notes *status.Notes, log *slog.Logger) (login.Exchange, error) {
	var logins login.Exchange
	if cfg.hasUpstream() {
		asks, err := cfg.upstreamClient(d.memory.noteRequest, log)
		if err != nil {
			return nil, err
		}
		if cfg.readOnly() {
			notes.Set("SIDECAR_READER_TOKEN_FILE", hint.ReadsOnly)
		}
		keeps.Upstream, keeps.API, logins = asks, keeper.UpstreamAPI, asks.Exchange
	} else {
		caller, err := d.wechat(cfg, metrics, notes, log)
		if err != nil {
			return nil, err
		}
		keeps.WeChat, keeps.API, logins = caller, wechat.API(cfg.TokenAPI), login.WeChat(caller)
	}
	if !cfg.Login {
		logins = nil
	}
	return logins, nil
}

// wechat returns the client of WeChat, and starts to verify AppSecrets.
func (d *daemon) wechat(cfg config, metrics *web.Metrics, notes *status.Notes, log *slog.Logger) (*wechat.Client, error) {
	caller, err := wechat.New(wechat.Config{BaseURLs: cfg.BaseURLs, Timeout: cfg.WeChatTimeout, Observe: func(r wechat.Request, took time.Duration, failure error) {
		metrics.ObserveWeChat(took)
		d.verifier.Used(r, failure)
		d.quota.Sent(r.AppID, r.API, failure)
	}})
	if err != nil {
		return nil, err
	}
	d.verifier = verify.New(verify.Config{Notes: notes, Log: log, Send: func(ctx context.Context, appID, secret string) error {
		d.memory.noteRequest()
		err := caller.Verify(ctx, appID, secret)
		metrics.ObserveSecretCheck(verify.OutcomeOf(err))
		d.quota.Sent(appID, wechat.StableToken, err)
		return err
	}})
	return caller, nil
}

// listen binds the address of the API.
func (d *daemon) listen(ctx context.Context, cfg config, log *slog.Logger) (err error) {
	if d.apiAt, err = listener.Open(ctx, cfg.Listen); err != nil {
		return fmt.Errorf("SIDECAR_LISTEN: %w; is another sidecar running there?", err)
	}
	d.apiLimits = listener.APILimits()
	if cfg.TLSCertFile == "" {
		return nil
	}
	certificate, err := listener.NewCertificate(cfg.TLSCertFile, cfg.TLSKeyFile, log)
	if err != nil { // it was readable a moment ago
		_ = d.apiAt.Close()
		return fmt.Errorf("SIDECAR_TLS_CERT_FILE, SIDECAR_TLS_KEY_FILE: %w", err)
	}
	d.apiAt, d.apiLimits = certificate.Listen(d.apiAt), d.apiLimits.WithTLS()
	return nil
}

// noteAddresses notes that the name of a memcached has several addresses, until it has one.
func noteAddresses(notes *status.Notes, log *slog.Logger, server string, several []string) {
	if len(several) == 0 {
		notes.Set(server)
		return
	}
	for _, n := range notes.Set(server, hint.SeveralAddresses(server, several)) {
		log.Warn("memcached name has several addresses", "server", server, "addresses", strings.Join(several, ","), "hint", n.Hint)
	}
}

// run runs all tasks until ctx ends or one fails, and waits for them. The ops listener
// ends last.
func (d *daemon) run(ctx context.Context) error {
	// The accounts are known before the API answers. Otherwise the first callers would
	// get "unknown account".
	scanned := d.accounts.scan(d.group)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if scanned != nil {
		cancel() // the tasks below end at once and close the listeners
	}
	opsCtx, endOps := context.WithCancel(context.WithoutCancel(ctx))
	defer endOps()
	opsEnded := make(chan error, 1)
	go func() {
		defer cancel()
		opsEnded <- d.serveOps(opsCtx)
	}()
	err := together(ctx,
		func(ctx context.Context) error { return listener.Serve(ctx, d.apiAt, d.api, d.apiLimits) },
		func(ctx context.Context) error { return d.accounts.follow(ctx, d.group) },
		func(ctx context.Context) error { d.mirror.Run(ctx); return nil },
		d.keep, d.memory.run, d.verifier.Run, d.quota.Run)
	endOps()
	err = errors.Join(scanned, err, <-opsEnded)
	_ = d.store.Close() // closes idle connections: an error loses nothing
	return err
}

func (d *daemon) serveOps(ctx context.Context) error {
	if d.opsAt == nil {
		<-ctx.Done()
		return nil
	}
	return listener.Serve(ctx, d.opsAt, d.ops, listener.OpsLimits())
}

// keep polls and renews until ctx ends, then lets open renewals finish.
func (d *daemon) keep(ctx context.Context) error {
	d.group.Run(ctx)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	d.group.Close(ctx)
	return nil
}

// together runs tasks, waits for all of them and returns their errors. The first
// failure ends the context of the others.
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
