package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// tally is what workers count; worker/serve.go has the same type.
type tally struct {
	Given   int   `json:"given"`    // tokens that a worker got
	Invalid int   `json:"invalid"`  // of these: refused by WeChat when the worker used them
	Errors  int   `json:"errors"`   // requests for a token that brought none
	Worst   int64 `json:"worst_us"` // the longest wait for a token, in µs
}

func (t *tally) add(more tally) {
	t.Given += more.Given
	t.Invalid += more.Invalid
	t.Errors += more.Errors
	t.Worst = max(t.Worst, more.Worst)
}

// figures are those of one fleet in one situation.
type figures struct {
	Requests int `json:"requests"` // to WeChat for a credential
	tally
}

// result is a whole run: figures by contestant, situation and fleet.
type result struct {
	Workers int                               `json:"workers"` // in each pod
	Pods    []int                             `json:"pods"`    // of each fleet, the largest last
	Figures map[string]*[situations][]figures `json:"figures"`
}

func newResult(pods []int, workers int) result {
	r := result{Workers: workers, Pods: pods, Figures: map[string]*[situations][]figures{}}
	for _, c := range contestants {
		all := &[situations][]figures{}
		for s := range all {
			all[s] = make([]figures, len(pods))
		}
		r.Figures[c.name] = all
	}
	return r
}

// largest returns the largest fleet's figures in one situation.
func (r result) largest(c contestant, situation int) figures {
	return r.Figures[c.name][situation][len(r.Pods)-1]
}

// total returns the largest fleet's figures over all situations.
func (r result) total(c contestant) figures {
	var sum figures
	for s := range situations {
		f := r.largest(c, s)
		sum.Requests += f.Requests
		sum.add(f.tally)
	}
	return sum
}

// keep writes what load reads.
func (r result) keep(path string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o600)
}

func load(path string) (result, error) {
	text, err := os.ReadFile(path) //nolint:gosec // named by the caller
	if err != nil {
		return result{}, err
	}
	r := result{}
	if err := json.Unmarshal(text, &r); err != nil {
		return result{}, fmt.Errorf("%s: %w", path, err)
	}
	for _, c := range contestants {
		all := r.Figures[c.name]
		if all == nil || slices.ContainsFunc(all[:], func(fleets []figures) bool { return len(fleets) != len(r.Pods) }) {
			return result{}, fmt.Errorf("%s: figures of %s are missing; only a run of all contestants can be drawn", path, c.name)
		}
	}
	return r, nil
}
