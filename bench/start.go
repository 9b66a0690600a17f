package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// measureStart measures from just before the exec.
func measureStart(ctx context.Context, r *rig) ([]row, error) {
	r.wechat.OnCall(func(wechattest.Call) wechattest.Answer { return wechattest.Answer{Delay: weChatDelay} })
	defer r.wechat.OnCall(nil)
	entries, err := interleave(ctx, r.pick(21, 7), r.firstEntry, r.floorEntry)
	if err != nil {
		return nil, err
	}
	pair := duel{entries[0], entries[1]}
	ours, floor := pair.middle()
	return []row{
		{
			what: "exec to the first entry in memcached, beyond WeChat's delay", brief: "exec to the first entry, beyond WeChat's delay",
			ours: milliseconds(ours), floor: milliseconds(floor), ratio: pair.ratio().spread(2),
			note: "floor: one https GET, one set; both parse the system's root certificates",
		},
	}, nil
}

func (r *rig) firstEntry(ctx context.Context) (float64, error) {
	s, err := r.startSidecar(ctx, unixSocket)
	if err != nil {
		return 0, err
	}
	defer s.kill()
	return r.entryAfter(ctx, s.process, s.variable("MEMCACHED_KEY_PREFIX")+appID)
}

func (r *rig) floorEntry(ctx context.Context) (float64, error) {
	key := r.name("f") + ":" + appID
	p, err := start(ctx, []string{
		"FETCH_URL=" + r.tokenURL(), "SSL_CERT_FILE=" + r.roots, "FETCH_MEMCACHED=" + r.overTCP.address, "FETCH_KEY=" + key,
	}, r.programs.fetch)
	if err != nil {
		return 0, err
	}
	defer p.kill()
	return r.entryAfter(ctx, p, key)
}

// tokenURL is WeChat's address for a token, AppSecret included: never print it.
func (r *rig) tokenURL() string {
	query := url.Values{"grant_type": {"client_credential"}, "appid": {appID}, "secret": {appSecret}}
	return r.wechatURL + "/cgi-bin/token?" + query.Encode()
}

// entryAfter waits for the entry, and returns how long after the exec it came,
// less WeChat's delay.
func (r *rig) entryAfter(ctx context.Context, p *process, key string) (float64, error) {
	bare := r.overTCP.bare()
	defer func() { _ = bare.Close() }()
	there := func() bool { _, err := bare.Get(key); return err == nil }
	for !there() {
		// Not process.until: fetch ends once it has written.
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("wait for an entry: %w; %s", ctx.Err(), p.stderr.String())
		case <-time.After(200 * time.Microsecond):
		}
	}
	return float64(time.Since(p.began) - weChatDelay), nil
}

// variable is a variable of the program's environment; the last one counts.
func (p *process) variable(name string) string {
	for i := len(p.cmd.Env) - 1; i >= 0; i-- {
		if value, ok := strings.CutPrefix(p.cmd.Env[i], name+"="); ok {
			return value
		}
	}
	return ""
}
