package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/ring"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/quota"
	"github.com/wxsidecar/wxsidecar/sidecar/verify"
	"github.com/wxsidecar/wxsidecar/sidecar/web"
	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// watchQuota makes the daemon read WeChat's own count if WECHAT_QUOTA is set. It returns
// where the readings are, or nil.
func (d *daemon) watchQuota(cfg config, caller *wechat.Client, metrics *web.Metrics, name string, log *slog.Logger) func(string) *status.Quota {
	if !cfg.Quota {
		return nil
	}
	d.quota = quota.New(quota.Config{
		Store: d.store, API: wechat.API(cfg.TokenAPI), Name: name, AppIDs: d.group.AppIDs, Observe: metrics.ObserveQuota, Log: log,
		Token: func(ctx context.Context, appID, rejected string) (string, error) {
			if rejected == "" {
				grant, err := d.group.Token(ctx, appID, memcache.AccessToken)
				return grant.Value, err
			}
			grant, err := d.group.Refresh(ctx, appID, memcache.AccessToken, rejected)
			return grant.Value, err
		},
		Send: func(ctx context.Context, appID, token string, about wechat.API) (wechat.Quota, error) {
			d.memory.noteRequest()
			return caller.Quota(ctx, appID, token, about)
		},
	})
	return d.quota.Of
}

// quotaOf returns WeChat's own count in words.
func quotaOf(q *status.Quota, now time.Time) string {
	switch {
	case q.Limit == 0:
		return "none for this account"
	case q.External == nil:
		return fmt.Sprintf("%d of %d today; by other programs: unknown; %s ago", q.Used, q.Limit, status.Span(now.Sub(q.At)))
	}
	return fmt.Sprintf("%d of %d today; by other programs: %d in %s; %s ago",
		q.Used, q.Limit, *q.External, status.Span(q.At.Sub(q.Since)), status.Span(now.Sub(q.At)))
}

// runQuota prints WeChat's own count of requests for tokens, or resets it.
func runQuota(ctx context.Context, i *invocation) int {
	if len(i.args) > 0 && i.args[0] == "clear" {
		i.args = i.args[1:]
		return clearQuota(ctx, i)
	}
	flags := flag.NewFlagSet("quota", flag.ContinueOnError)
	if exit, ok := i.parse(flags, 1); !ok {
		return exit
	}
	s, accounts, exit := i.quotaSetup(flags)
	if exit != exitFine {
		return exit
	}
	store, caller := s.store(s.cfg.MemcachedTimeout), s.wechat()
	table := tabwriter.NewWriter(i.stdout, 0, 0, 2, ' ', 0)
	header := "APPID\tAPI\tTODAY\tLIMIT\tLEFT\tBY OTHER PROGRAMS\n"
	for _, account := range accounts {
		got, err := s.ask(ctx, account.AppID, caller)
		if err != nil {
			exit = i.failed(fmt.Errorf("%s: %w", account.AppID, err))
			continue
		}
		row := "-\t-\t-"
		if got.Limit > 0 {
			row = fmt.Sprintf("%d\t%d\t%d", got.Used, got.Limit, max(0, got.Limit-got.Used))
		}
		_, _ = fmt.Fprintf(table, "%s%s\t%s\t%s\t%s\n", header, account.AppID, s.cfg.TokenAPI, row, s.byOthers(store, account.AppID)) // see Flush
		header = ""
	}
	if err := table.Flush(); err != nil {
		return i.failed(err)
	}
	return exit
}

// quotaSetup returns the set-up, and the account that the argument names or all accounts.
func (i *invocation) quotaSetup(flags *flag.FlagSet) (*setup, []verify.Account, int) {
	s := &setup{}
	if s.cfg, s.found = parse(i.environ); len(s.found) > 0 {
		_, _ = io.WriteString(i.stderr, s.found.String())
		return nil, nil, exitBadUsage
	}
	if s.cfg.hasUpstream() {
		return nil, nil, i.misused(flags, "SIDECAR_UPSTREAM is set: run this with the variables of a sidecar that has the AppSecret")
	}
	accounts := s.accounts()
	if flags.NArg() > 0 {
		if accounts = slices.DeleteFunc(accounts, func(a verify.Account) bool { return a.AppID != flags.Arg(0) }); len(accounts) == 0 {
			return nil, nil, i.misused(flags, "the argument is not an AppID of this configuration")
		}
	}
	if len(accounts) == 0 {
		return nil, nil, i.misused(flags, "no accounts configured; set WECHAT_APPID, or put files into WECHAT_ACCOUNTS_DIR")
	}
	return s, accounts, exitFine
}

// ask returns WeChat's count, under the token that an app gets.
func (s *setup) ask(ctx context.Context, appID string, caller *wechat.Client) (wechat.Quota, error) {
	cfg := client.Config{
		AppID: appID, Servers: s.cfg.Servers,
		Memcached: client.Memcached{
			Hash: ring.Hash(s.cfg.Hash), Prefix: s.cfg.KeyPrefix, Timeout: s.cfg.MemcachedTimeout,
			TLS: s.cfg.MemcachedTLS, CAFile: s.cfg.MemcachedCAFile, AuthFile: s.cfg.MemcachedAuthFile,
		},
		AuthTokenFile: s.cfg.AuthTokenFile,
	}
	if err := askOwn(&cfg, s.cfg.Listen, s.cfg.TLSCertFile); err != nil {
		return wechat.Quota{}, err
	}
	c, err := client.New(cfg)
	if err != nil {
		return wechat.Quota{}, err
	}
	defer func() { _ = c.Close() }()
	return quota.Config{
		API: wechat.API(s.cfg.TokenAPI), Send: caller.Quota,
		Token: func(ctx context.Context, _, rejected string) (string, error) {
			if rejected == "" {
				return c.AccessToken(ctx)
			}
			return c.Refresh(ctx, rejected)
		},
	}.Ask(ctx, appID)
}

// byOthers returns what the sidecars' last reading says about other programs.
func (s *setup) byOthers(store *memcache.Store, appID string) string {
	slot, err := store.Slot(appID, memcache.AccessToken)
	if err != nil {
		return "-"
	}
	q, err := slot.Quota(s.cfg.TokenAPI)
	if err != nil || q == nil || q.External == nil {
		return "unknown"
	}
	at := time.Unix(q.At, 0)
	return fmt.Sprintf("%d in %s, %s ago", *q.External, status.Span(at.Sub(time.Unix(q.Since, 0))), status.Span(time.Since(at)))
}

// clearQuota resets WeChat's counts of one account, after a question.
func clearQuota(ctx context.Context, i *invocation) int {
	flags := flag.NewFlagSet("quota clear", flag.ContinueOnError)
	yes := flags.Bool("yes", false, "do not ask")
	slices.SortStableFunc(i.args, func(a, b string) int { return order(a) - order(b) }) // --yes can follow the AppID
	if exit, ok := i.parse(flags, 1); !ok {
		return exit
	}
	s, accounts, exit := i.quotaSetup(flags)
	if exit != exitFine {
		return exit
	}
	if len(accounts) > 1 {
		return i.misused(flags, "several accounts are configured; name one")
	}
	account := accounts[0]
	if !*yes {
		_, _ = fmt.Fprintf(i.stdout, "This resets WeChat's counts of all APIs of %s.\nIt can be done ten times a month, by all programs together. Type yes to continue: ", account.AppID)
		if answer, _ := bufio.NewReader(i.stdin).ReadString('\n'); strings.TrimSpace(answer) != "yes" {
			return i.failed(errors.New("nothing was reset; a script needs --yes"))
		}
	}
	secret, err := account.Secret()
	if err != nil {
		return i.failed(err)
	}
	if err = s.wechat().ClearQuota(ctx, account.AppID, secret); err != nil {
		var e *wechat.Error
		if errors.As(err, &e) && e.MayHaveIssued {
			err = fmt.Errorf("no readable answer: %s; WeChat may have reset the counts all the same, see sidecar quota", e.Message)
		}
		return i.failed(err)
	}
	_, _ = fmt.Fprintf(i.stdout, "WeChat counts the requests of %s from 0 again.\n", account.AppID)
	if store := s.store(s.cfg.MemcachedTimeout); store != nil {
		defer func() { _ = store.Close() }()
		if err = keeper.EndDay(store, account.AppID); err != nil {
			return i.failed(fmt.Errorf("the sidecars wait for at most another hour, because memcached failed: %w; %s", err, hint.Memcached(err).English))
		}
	}
	return exitFine
}

// order sorts options before other arguments.
func order(arg string) int {
	if strings.HasPrefix(arg, "-") {
		return 0
	}
	return 1
}
