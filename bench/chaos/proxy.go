package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// proxy is a network path that can fail.
type proxy struct {
	*toxiproxy.Proxy
}

// toxic is a fault of toxiproxy's, on the way there ("upstream") or back ("downstream").
type toxic struct {
	Type       string         `json:"type"`
	Stream     string         `json:"stream"`
	Attributes map[string]int `json:"attributes"`
}

func newProxy(name, upstream string) (*proxy, error) {
	zerolog.SetGlobalLevel(zerolog.Disabled) // some toxics log every byte, whatever logger they have
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	p := &proxy{toxiproxy.NewProxy(server, name, "127.0.0.1:0", upstream)}
	return p, p.Start()
}

func (p *proxy) poison(toxics ...toxic) error {
	for _, t := range toxics {
		text, err := json.Marshal(t)
		if err != nil {
			return err
		}
		if _, err = p.Toxics.AddToxicJson(bytes.NewReader(text)); err != nil {
			return fmt.Errorf("toxic %s: %w", t.Type, err)
		}
	}
	return nil
}

// cure removes all toxics.
func (p *proxy) cure() error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Toxics.ResetToxics(context.Background())
	}()
	select {
	case <-done:
		return nil
	case <-time.After(10 * time.Second):
		return fmt.Errorf("toxiproxy does not remove the toxics of %s", p.Name)
	}
}
