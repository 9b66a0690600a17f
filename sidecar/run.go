package main

import (
	"context"
	"flag"
	"io"
	"log/slog"
	"os"
	"strings"
)

// runSidecar reads the configuration, then serves until ctx ends.
func runSidecar(ctx context.Context, i *invocation) int {
	if exit, ok := i.parse(flag.NewFlagSet("run", flag.ContinueOnError), 0); !ok {
		return exit
	}
	cfg, found := parse(i.environ)
	unknown := unknownVariables(i.environ)
	if len(found) > 0 {
		text := found.String()
		for _, u := range unknown {
			text += "  " + u.name + ": unknown variable, ignored; the nearest name is " + u.nearest + "\n"
		}
		_, _ = io.WriteString(i.stderr, text)
		return exitBadUsage
	}
	log := newLogger(cfg, i.stderr)
	for _, u := range unknown {
		log.Warn("unknown environment variable ignored", "variable", u.name, "nearest", u.nearest,
			"hint", "correct the name, or remove the variable; sidecar help lists all variables")
	}
	for _, w := range cfg.warnings(i.environ) {
		log.Warn("configuration is probably wrong", "variable", w.variable, "error", w.what, "hint", w.hint)
	}
	name, _ := os.Hostname() // the pod's name; "" if it is unknown
	d, err := newDaemon(ctx, cfg, name, log)
	if err != nil {
		log.Error("start failed", "error", err.Error())
		return exitFailed
	}
	log.Info("started", cfg.settings()...)
	if err := d.run(ctx); err != nil {
		log.Error("sidecar failed", "error", err.Error())
		return exitFailed
	}
	log.Info("stopped")
	return exitFine
}

func newLogger(cfg config, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: logLevels[cfg.LogLevel]}
	if cfg.LogFormat == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// settings returns the configuration for the first log line, without secrets.
func (c config) settings() []any {
	return []any{
		"version", versionName(), "appid", c.AppID, "accounts_dir", c.AccountsDir, "token_api", c.TokenAPI,
		"tickets", strings.Join(c.Tickets, ","), "quota", c.Quota,
		"base_url", strings.Join(c.BaseURLs, ","), "wechat_timeout", c.WeChatTimeout.String(),
		"memcached", strings.Join(c.Servers, ","), "memcached_hash", c.Hash, "memcached_timeout", c.MemcachedTimeout.String(), "key_prefix", c.KeyPrefix,
		"upstream", strings.Join(c.Upstreams, ","), "read_only", c.readOnly(),
		"memcached_tls", c.MemcachedTLS, "memcached_auth", c.MemcachedAuthFile != "",
		"listen", c.Listen, "bearer", c.AuthTokenFile != "", "reader", c.readersFile() != "", "tls", c.TLSCertFile != "", "compat", c.Compat, "login", c.Login, "ops_listen", c.OpsListen, "log_level", c.LogLevel,
	}
}
