package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
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

// result is a whole run: by contestant, number of pods and situation.
type result struct {
	Workers int                          `json:"workers"` // in each pod
	Pods    []int                        `json:"pods"`
	Figures map[string]map[int][]figures `json:"figures"`
}

func newResult(pods []int, workers int) result {
	r := result{Workers: workers, Pods: pods, Figures: map[string]map[int][]figures{}}
	for _, c := range contestants {
		r.Figures[c.name] = map[int][]figures{}
		for _, n := range pods {
			r.Figures[c.name][n] = make([]figures, situations)
		}
	}
	return r
}

// at returns a contestant's figures in a situation, for each number of pods.
func (r result) at(c contestant, situation int) []figures {
	all := make([]figures, len(r.Pods))
	for i, n := range r.Pods {
		all[i] = r.Figures[c.name][n][situation]
	}
	return all
}

// largest returns a contestant's figures over all situations, with the most pods.
func (r result) largest(c contestant) figures {
	var sum figures
	for _, f := range r.Figures[c.name][r.Pods[len(r.Pods)-1]] {
		sum.Requests += f.Requests
		sum.add(f.tally)
	}
	return sum
}

// mostRequests returns the most requests of a largest fleet in one situation, at least 1.
func (r result) mostRequests() int {
	most := 1
	for _, byPods := range r.Figures {
		for _, f := range byPods[r.Pods[len(r.Pods)-1]] {
			most = max(most, f.Requests)
		}
	}
	return most
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
		for _, n := range r.Pods {
			if len(r.Figures[c.name][n]) != situations {
				return result{}, fmt.Errorf("%s: %s with %d pods is missing; only a run of all contestants can be drawn", path, c.name, n)
			}
		}
	}
	return r, nil
}
