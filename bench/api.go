package main

import (
	"context"
	"fmt"
	"strconv"
)

const (
	minAPIRatio = 0.9
	apiCallers  = 16
)

// measureAPI compares the API's token with what net/http alone needs to write
// the same body, and the same body and headers. Requests per second hold the
// callers' own work too, which is the same for all; the processor time of the
// servers does not.
func measureAPI(ctx context.Context, r *rig) ([]row, error) {
	var rows []row
	for _, transport := range []string{tcp, unixSocket} {
		measured, err := measureAPIOver(ctx, r, transport)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", transport, err)
		}
		rows = append(rows, measured...)
	}
	return rows, nil
}

func measureAPIOver(ctx context.Context, r *rig, transport string) ([]row, error) {
	var crowds []*crowd
	defer func() {
		for _, c := range crowds {
			c.close()
			c.server.kill()
		}
	}()
	join := func(s *server, err error) error {
		if err != nil {
			return err
		}
		c, err := newCrowd(ctx, s, tokenRequest, apiCallers)
		if err != nil {
			s.kill()
			return err
		}
		crowds = append(crowds, c)
		return nil
	}
	if err := join(r.startSidecar(ctx, transport)); err != nil {
		return nil, err
	}
	size := strconv.Itoa(crowds[0].callers[0].body)
	if err := join(r.startFloor(ctx, transport, "-body", size)); err != nil {
		return nil, err
	}
	if err := join(r.startFloor(ctx, transport, "-body", size, "-headers")); err != nil {
		return nil, err
	}

	const few = 2000
	most, err := crowds[1].batch(few)
	if err != nil {
		return nil, err
	}
	requests := int(most * float64(r.pick(60, 40)) / 1000)
	var contenders []contender
	for _, c := range crowds {
		contenders = append(contenders, func(context.Context) (float64, error) { return c.batch(requests) })
	}
	all, err := interleave(ctx, r.pick(101, 21), contenders...)
	if err != nil {
		return nil, err
	}
	var rows []row
	for i, floor := range []string{"the same body", "the same body and headers"} {
		asked := duel{all[0], all[i+1]}
		ratio := asked.ratio()
		ours, bare := asked.middle()
		spent := duel{crowds[0].spent[len(crowds[0].spent)-len(ratio):], crowds[i+1].spent[len(crowds[i+1].spent)-len(ratio):]}
		oursSpent, bareSpent := spent.middle()
		var brief string
		if i == 1 {
			brief = "the API to bare net/http with the same body and headers, TCP / unix socket"
		}
		rows = append(rows, row{
			brief: brief,
			what:  fmt.Sprintf("API's token to bare net/http with %s, %s, keep-alive", floor, transport),
			ours:  perSecond(ours), floor: perSecond(bare),
			ratio: ratio.spread(2), goal: fmt.Sprintf("≥ %.1f ×", minAPIRatio), met: verdictOf(ratio.median() >= minAPIRatio),
			note: fmt.Sprintf("server's CPU %s to %s a request: × %s", microseconds(oursSpent), microseconds(bareSpent), spent.ratio().spread(2)),
		})
	}
	return rows, nil
}
