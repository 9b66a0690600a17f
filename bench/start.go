package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/wxsidecar/wxsidecar/bench/program"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// measureStart measures from just before the exec. Both programs parse the system's
// certificates; the floor makes one https request and one set.
func measureStart(ctx context.Context, f *fixture) ([]row, error) {
	f.wechat.OnRequest(func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Delay: weChatDelay} })
	defer f.wechat.OnRequest(nil)
	all, err := interleave(ctx, f.pick(21, 7), f.firstEntry, f.floorEntry)
	if err != nil {
		return nil, err
	}
	ours, floor := middle(all[0], all[1])
	return []row{{
		what: "exec to the first entry, beyond WeChat's delay", unit: "ms",
		figures: []figure{{ours: milliseconds(ours), floor: milliseconds(floor), ratio: fmt.Sprintf("%.2f", all[0].per(all[1]).median())}},
	}}, nil
}

func (f *fixture) firstEntry(ctx context.Context) (float64, error) {
	prefix := f.name("e") + ":"
	s, err := f.startSidecar(ctx, unixSocket, "MEMCACHED_KEY_PREFIX="+prefix)
	if err != nil {
		return 0, err
	}
	defer s.Kill()
	return f.entryAfter(ctx, s.Process, prefix+appID)
}

func (f *fixture) floorEntry(ctx context.Context) (float64, error) {
	key := f.name("f") + ":" + appID
	p, err := program.Start(ctx, []string{
		"FETCH_URL=" + f.tokenURL(), "SSL_CERT_FILE=" + f.roots, "FETCH_MEMCACHED=" + f.memcached[tcp].Address, "FETCH_KEY=" + key,
	}, f.program("fetch"))
	if err != nil {
		return 0, err
	}
	defer p.Kill()
	return f.entryAfter(ctx, p, key)
}

// tokenURL returns WeChat's address for a token. It contains the AppSecret: never
// print it.
func (f *fixture) tokenURL() string {
	query := url.Values{"grant_type": {"client_credential"}, "appid": {appID}, "secret": {appSecret}}
	return f.wechatURL + "/cgi-bin/token?" + query.Encode()
}

// entryAfter waits for the entry, and returns how long after the exec it came,
// less WeChat's delay.
func (f *fixture) entryAfter(ctx context.Context, p *program.Process, key string) (float64, error) {
	bare := f.memcached[tcp].Client()
	defer func() { _ = bare.Close() }()
	for { // not Process.Until: fetch ends after its set
		if _, err := bare.Get(key); err == nil {
			return float64(time.Since(p.Began) - weChatDelay), nil
		}
		if err := program.Sleep(ctx, 200*time.Microsecond); err != nil {
			return 0, fmt.Errorf("wait for an entry: %w; %w", err, p.Failed())
		}
	}
}
