package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// tally is what workers met.
type tally struct {
	Given   int   `json:"given"`    // tokens that the contestant gave a worker
	Invalid int   `json:"invalid"`  // of these: refused by WeChat when the worker used them
	Errors  int   `json:"errors"`   // the contestant gave none
	Worst   int64 `json:"worst_us"` // the longest that a worker waited for its contestant, in µs
}

func (t *tally) add(more tally) {
	t.Given += more.Given
	t.Invalid += more.Invalid
	t.Errors += more.Errors
	t.Worst = max(t.Worst, more.Worst)
}

// serve is one request that a worker serves: it asks for a token and calls an API
// with it. Where the API refuses the token and the contestant has a way to say so,
// the worker does, and repeats the call once.
func (g *gang) serve(t *tally) {
	token, ok := g.ask(t, g.contestant.token)
	if !ok || g.use(t, token) || g.contestant.refused == nil {
		return
	}
	token, ok = g.ask(t, func() (string, error) { return g.contestant.refused(token) })
	if ok {
		g.use(t, token)
	}
}

// ask asks the contestant.
func (*gang) ask(t *tally, contestant func() (string, error)) (token string, ok bool) {
	start := time.Now()
	token, err := contestant()
	t.Worst = max(t.Worst, time.Since(start).Microseconds())
	if err != nil || token == "" {
		t.Errors++
		return "", false
	}
	t.Given++
	return token, true
}

// use lets WeChat judge a token. An API that cannot be reached is a fault of the
// bench, and ends it: nothing here keeps WeChat's APIs from answering.
func (g *gang) use(t *tally, token string) (alive bool) {
	errcode, err := g.api.call(token)
	if err != nil {
		panic("the API did not answer") // err quotes the token
	}
	if errcode != 0 {
		t.Invalid++
	}
	return errcode == 0
}

// api is an API of WeChat's that takes an access_token.
type api struct{ client *http.Client }

// newAPI keeps a connection for each worker.
func newAPI(workers int) *api {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = workers
	return &api{&http.Client{Transport: transport, Timeout: 30 * time.Second}}
}

// call is the errcode that the API answers: 0, or one that refuses the token.
func (a *api) call(token string) (errcode int, err error) {
	address := "https://api.weixin.qq.com/cgi-bin/user/get?access_token=" + url.QueryEscape(token)
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Errcode *int `json:"errcode"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return 0, err
	}
	switch {
	case answer.Errcode == nil:
		return 0, errors.New("no errcode")
	case *answer.Errcode != 0 && *answer.Errcode != 40001 && *answer.Errcode != 40014 && *answer.Errcode != 42001:
		return 0, errors.New("an errcode that does not speak of the token")
	}
	return *answer.Errcode, nil
}
