package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// proxy is a way on which things go wrong.
type proxy struct {
	*toxiproxy.Proxy
}

// toxic is one of toxiproxy's, on the way there ("upstream"), back ("downstream"),
// or both ("").
type toxic struct {
	kind, stream string
	attributes   map[string]int
}

func newProxy(name, upstream string) (*proxy, error) {
	zerolog.SetGlobalLevel(zerolog.Disabled) // some toxics tell every byte, whatever logger they are given
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	p := &proxy{toxiproxy.NewProxy(server, name, "127.0.0.1:0", upstream)}
	return p, p.Start()
}

func (p *proxy) poison(all ...toxic) error {
	for i, t := range all {
		streams := []string{"upstream", "downstream"}
		if t.stream != "" {
			streams = []string{t.stream}
		}
		for _, stream := range streams {
			text, err := json.Marshal(map[string]any{
				"name": fmt.Sprint(t.kind, stream, i), "type": t.kind, "stream": stream, "attributes": t.attributes,
			})
			if err != nil {
				return err
			}
			if _, err = p.Toxics.AddToxicJson(strings.NewReader(string(text))); err != nil {
				return fmt.Errorf("toxic %s: %w", t.kind, err)
			}
		}
	}
	return nil
}

// cure takes everything away.
func (p *proxy) cure() error {
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Toxics.ResetToxics(ctx)
	}()
	select {
	case <-done:
		return nil
	case <-time.After(patience + time.Second):
		return fmt.Errorf("toxiproxy does not let go of %s", p.Name)
	}
}

// ways are all between pods and memcached.
func (w *world) ways() []*proxy {
	all := make([]*proxy, len(w.pods))
	for i, p := range w.pods {
		all[i] = p.way
	}
	return all
}

// poisoned is a fault of these ways, or of what is to be waited for: it begins,
// lasts, and is undone.
func poisoned(ctx context.Context, ways []*proxy, hold time.Duration, toxics ...toxic) error {
	for _, p := range ways {
		if err := p.poison(toxics...); err != nil {
			return err
		}
	}
	err := pause(ctx, hold)
	for _, p := range ways {
		if cured := p.cure(); err == nil {
			err = cured
		}
	}
	return err
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
