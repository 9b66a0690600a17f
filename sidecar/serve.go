package main

import (
	"context"
	"flag"
	"io"
	"log/slog"
	"os"
	"strings"
)

// runServe is the sidecar itself: read the configuration, wire, serve, wait.
func runServe(ctx context.Context, i *invocation) int {
	if exit, ok := i.parse(flag.NewFlagSet("run", flag.ContinueOnError), 0); !ok {
		return exit
	}
	cfg, found := parse(i.environ)
	strange := unknowns(i.environ)
	if len(found) > 0 {
		text := found.String()
		for _, u := range strange {
			text += "  (" + u.name + " is unknown and has no effect; the nearest known name is " + u.nearest + ")\n"
		}
		_, _ = io.WriteString(i.stderr, text)
		return exitBadUsage
	}
	log := newLogger(cfg, i.stderr)
	for _, u := range strange {
		log.Warn("this version does not know a variable: it has no effect", "variable", u.name, "nearest", u.nearest,
			"hint", "correct its name or remove it; sidecar help lists them all")
	}
	d, err := newDaemon(ctx, cfg, parts{Name: hostname(), Log: log})
	if err != nil {
		log.Error("cannot start", "error", err.Error())
		return exitFailed
	}
	log.Info("started", cfg.settings()...)
	if err := d.run(ctx); err != nil {
		log.Error("failed", "error", err.Error())
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

// settings is what is in force, for the line at the start: no secrets.
func (c config) settings() []any {
	return []any{
		"version", versionName(), "appid", c.AppID, "accounts_dir", c.AccountsDir, "token_api", c.TokenAPI,
		"tickets", strings.Join(c.Tickets, ","),
		"base_url", strings.Join(c.BaseURLs, ","), "wechat_timeout", c.WeChatTimeout.String(),
		"memcached", strings.Join(c.Servers, ","), "memcached_hash", c.Hash, "memcached_timeout", c.MemcachedTimeout.String(), "key_prefix", c.KeyPrefix,
		"listen", c.Listen, "bearer", c.AuthTokenFile != "", "compat", c.Compat, "ops_listen", c.OpsListen, "log_level", c.LogLevel,
	}
}

// hostname is the pod's name; empty where the system does not tell.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}
