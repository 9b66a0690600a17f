package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/ring"
	"github.com/wxsidecar/wxsidecar/sidecar/check"
	"github.com/wxsidecar/wxsidecar/sidecar/mirror"
	"github.com/wxsidecar/wxsidecar/sidecar/upstream"
	"github.com/wxsidecar/wxsidecar/sidecar/verify"
	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// setup is what sidecar check looks at.
type setup struct {
	cfg   config
	found problems
	all   []check.Result
}

// runCheck checks the set-up of the sidecar with the same variables.
func runCheck(ctx context.Context, i *invocation) int {
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "print JSON instead of a table")
	if exit, ok := i.parse(flags, 0); !ok {
		return exit
	}
	s := setup{}
	s.cfg, s.found = parse(i.environ)
	s.configuration(i.environ)
	parts := check.Config{
		Store: s.store(max(s.cfg.MemcachedTimeout, time.Second)), Strict: s.store(s.cfg.MemcachedTimeout), Timeout: s.cfg.MemcachedTimeout,
		Hash: s.cfg.Hash, WeChat: s.wechat(), Upstream: s.upstream(), Accounts: s.accounts(), Mirror: s.mirror(), Status: s.running(i.environ),
	}
	s.all = append(s.all, check.Run(ctx, parts)...)
	count := map[check.Outcome]int{}
	for _, one := range s.all {
		count[one.Outcome]++
	}
	var err error
	if *asJSON {
		err = json.NewEncoder(i.stdout).Encode(map[string]any{"failing": count[check.Failing], "unknown": count[check.Unknown], "checks": s.all})
	} else {
		err = printChecks(i.stdout, s.all, count)
	}
	switch {
	case err != nil:
		return i.failed(err)
	case count[check.Failing] > 0:
		return exitFailed
	}
	return exitFine
}

func (s *setup) add(o check.Outcome, name, found, hint string) {
	s.all = append(s.all, check.Result{Check: name, Outcome: o, Found: found, Hint: hint})
}

// configuration adds what is wrong with the variables.
func (s *setup) configuration(environ []string) {
	for _, p := range s.found.sorted() {
		s.add(check.Failing, "configuration", p.variable+": "+p.what, p.hint)
	}
	for _, w := range s.cfg.warnings(environ) {
		s.add(check.Unknown, "configuration", w.variable+": "+w.what, w.hint)
	}
	for _, u := range unknownVariables(environ) {
		s.add(check.Unknown, "configuration", u.name+": unknown variable, ignored", "the nearest name is "+u.nearest)
	}
	if len(s.all) == 0 {
		s.add(check.OK, "configuration", "no errors", "")
	}
}

// wrong reports whether a variable that begins so has a problem.
func (s *setup) wrong(prefixes ...string) bool {
	for _, p := range s.found {
		for _, prefix := range prefixes {
			if strings.HasPrefix(strings.ToUpper(p.variable), prefix) {
				return true
			}
		}
	}
	return false
}

// store returns memcached with this timeout, or nil.
func (s *setup) store(timeout time.Duration) *memcache.Store {
	if s.wrong("MEMCACHED_") || s.cfg.inMemory() {
		return nil
	}
	store, err := memcache.New(memcache.Config{
		Servers: s.cfg.Servers, Hash: ring.Hash(s.cfg.Hash), Prefix: s.cfg.KeyPrefix, Timeout: timeout,
		Security: s.cfg.security(), SeveralAddresses: func(string, []string) {},
	})
	if err != nil { // parse found nothing
		s.add(check.Failing, "configuration", err.Error(), "")
	}
	return store
}

// wechat returns WeChat, or nil.
func (s *setup) wechat() *wechat.Client {
	if s.cfg.hasUpstream() || s.wrong("WECHAT_BASE_URL", "WECHAT_TIMEOUT", "HTTPS_PROXY") {
		return nil
	}
	client, err := wechat.New(wechat.Config{BaseURLs: s.cfg.BaseURLs, Timeout: s.cfg.WeChatTimeout})
	if err != nil { // parse found nothing
		s.add(check.Failing, "configuration", err.Error(), "")
	}
	return client
}

// upstreamVariables begin those that say how the upstream is asked.
var upstreamVariables = []string{"SIDECAR_UPSTREAM", "SIDECAR_READER_TOKEN_FILE", "SIDECAR_CA_FILE"}

// upstream returns the upstream, or nil.
func (s *setup) upstream() *upstream.Client {
	if !s.cfg.hasUpstream() || s.wrong(upstreamVariables...) {
		return nil
	}
	client, err := s.cfg.upstreamClient(nil, slog.New(slog.DiscardHandler))
	if err != nil { // parse found nothing
		s.add(check.Failing, "configuration", err.Error(), "")
	}
	return client
}

// accounts returns the accounts, and adds what else is in their folder.
func (s *setup) accounts() []verify.Account {
	cfg := s.cfg
	if s.wrong("WECHAT_APP") {
		cfg.AppID = "" // the problem is told; the AppID can be the AppSecret
	}
	notes := &status.Notes{}
	a := newAccounts(cfg, mirror.New(mirror.Config{}), newMemoryReleaser(), notes, nil, slog.New(slog.DiscardHandler))
	found := a.fixed
	if names, err := os.ReadDir(cfg.AccountsDir); err == nil { // else it is in the configuration's problems, or unset
		inFolder, _ := a.inFolder(names)
		found = append(found, inFolder...)
	}
	for _, n := range notes.All() {
		s.add(check.Unknown, "configuration", n.Text.English, n.Hint.English)
	}
	if len(found) == 0 && !s.wrong("WECHAT_A") {
		s.add(check.Failing, "configuration", "no accounts configured", "set WECHAT_APPID, or put files into WECHAT_ACCOUNTS_DIR")
	}
	if cfg.hasUpstream() && s.wrong(upstreamVariables...) {
		return nil
	}
	all := make([]verify.Account, len(found))
	for i, one := range found {
		all[i] = one.verified
	}
	return all
}

func (s *setup) mirror() mirror.Config {
	if s.wrong("MIRROR_") {
		return mirror.Config{}
	}
	return s.cfg.mirrors(nil)
}

// running returns how the sidecar that runs is asked, or nil.
func (s *setup) running(environ []string) func(context.Context) (status.Sidecar, error) {
	ops, ok := opsOf(environ)
	if !ok {
		s.add(check.Unknown, "running sidecar", noOps, "")
		return nil
	}
	return ops.status
}

// printChecks prints a table for a terminal.
func printChecks(w io.Writer, all []check.Result, count map[check.Outcome]int) error {
	width := 0
	for _, one := range all {
		width = max(width, len(one.Check))
	}
	var text strings.Builder
	for _, one := range all {
		fmt.Fprintf(&text, "%-7s  %-*s  %s\n", one.Outcome, width, one.Check, one.Found)
		if one.Hint != "" {
			fmt.Fprintf(&text, "%*s→ %s\n", 7+2+width+2, "", one.Hint)
		}
	}
	fmt.Fprintf(&text, "\n%d ok, %d failing, %d unknown\n", count[check.OK], count[check.Failing], count[check.Unknown])
	_, err := io.WriteString(w, text.String())
	return err
}
