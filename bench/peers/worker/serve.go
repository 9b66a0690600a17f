package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// tally is what workers count; the bench has the same type.
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

// serve is one request that a worker serves: it asks for a token and calls an API
// with it. If the API refuses the token, it reports that to a contestant that takes
// reports, and repeats the call once.
func (w *workers) serve(t *tally) {
	token, ok := ask(t, w.contestant.token)
	if !ok || w.use(t, token) || w.contestant.refused == nil {
		return
	}
	token, ok = ask(t, func() (string, error) { return w.contestant.refused(token) })
	if ok {
		w.use(t, token)
	}
}

// ask asks the contestant.
func ask(t *tally, contestant func() (string, error)) (token string, ok bool) {
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

// use reports whether WeChat accepts a token. It panics if the API does not answer:
// that is a fault of the bench.
func (w *workers) use(t *tally, token string) (valid bool) {
	errcode, err := w.api.call(token)
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

// call returns the errcode of the API: 0, or one that refuses the token.
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
		return 0, errors.New("the answer has no errcode")
	case *answer.Errcode != 0 && *answer.Errcode != 40001 && *answer.Errcode != 40014 && *answer.Errcode != 42001:
		return 0, errors.New("the errcode does not concern the token")
	}
	return *answer.Errcode, nil
}
