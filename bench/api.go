package main

import (
	"bytes"
	"context"
	"fmt"
	"strconv"

	"github.com/wxsidecar/wxsidecar/bench/program"
)

const (
	minAPIRatio = 0.9
	apiCallers  = 16
)

// measureAPI compares the API's token with the same body and headers of bare
// net/http. Requests per second include the callers' own work, which is the same
// for both.
func measureAPI(ctx context.Context, f *fixture) ([]row, error) {
	r := row{
		what: "the API to bare net/http with the same body and headers, TCP / unix socket", unit: "a second",
		goal: fmt.Sprintf("≥ %.1f", minAPIRatio),
	}
	for _, transport := range []string{tcp, unixSocket} {
		measured, err := f.measureAPI(ctx, transport)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", transport, err)
		}
		r.figures = append(r.figures, measured)
	}
	return []row{r}, nil
}

func (f *fixture) measureAPI(ctx context.Context, transport string) (figure, error) {
	s, err := f.startSidecar(ctx, transport)
	if err != nil {
		return figure{}, err
	}
	defer s.Kill()
	ours, err := newCallers(ctx, s, tokenRequest, apiCallers)
	if err != nil {
		return figure{}, err
	}
	defer ours.close()
	_, body, _ := bytes.Cut(ours[0].answer, []byte("\r\n\r\n"))
	bare, err := f.startFloor(ctx, transport, "-body", strconv.Itoa(len(body)))
	if err != nil {
		return figure{}, err
	}
	defer bare.Kill()
	floor, err := newCallers(ctx, bare, tokenRequest, apiCallers)
	if err != nil {
		return figure{}, err
	}
	defer floor.close()

	perSecond, err := floor.batch(2000) // to learn how many make a batch
	if err != nil {
		return figure{}, err
	}
	requests := int(perSecond * float64(f.pick(60, 40)) / 1000)
	ask := func(c callers) batch { return func(context.Context) (float64, error) { return c.batch(requests) } }
	all, err := interleave(ctx, f.pick(101, 21), ask(ours), ask(floor))
	if err != nil {
		return figure{}, err
	}
	ratio := all[0].per(all[1])
	f.note("API, %s: ratio %s", transport, ratio.spread())
	one, other := middle(all[0], all[1])
	return figure{program.Number(int(one)), program.Number(int(other)), fmt.Sprintf("%.2f", ratio.median()), ratio.median() < minAPIRatio}, nil
}
