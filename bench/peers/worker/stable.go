package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"
)

// stableMargin is how long before its expiry a token is not used any more.
const stableMargin = time.Second

// stable is a careful use of stable_token without an SDK: one fetch at a time; the
// token is kept in the process as long as expires_in says, and fetched again when
// WeChat refuses it.
type stable struct {
	mu    sync.Mutex // guards token and until; held over the fetch, so that there is one
	token string
	until time.Time
}

func newStable() contestant {
	s := &stable{}
	return contestant{token: s.get, refused: s.refetch}
}

func (s *stable) get() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().Before(s.until) {
		return s.token, nil
	}
	return s.fetch()
}

// refetch fetches, unless another worker has done so.
func (s *stable) refetch(refused string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token != refused {
		return s.token, nil
	}
	return s.fetch()
}

// fetch does not use force_refresh, which would invalidate the others' token.
func (s *stable) fetch() (string, error) {
	body, err := json.Marshal(map[string]string{"grant_type": "client_credential", "appid": appID(), "secret": appSecret()})
	if err != nil {
		return "", err
	}
	begin := time.Now()
	resp, err := http.Post("https://api.weixin.qq.com/cgi-bin/stable_token", "application/json", bytes.NewReader(body)) //nolint:noctx // the bench kills what hangs
	if err != nil {
		return "", errors.New("the request failed")
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Token     string `json:"access_token"`
		ExpiresIn int    `json:"expires_in"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Token == "" {
		return "", errors.New("no token in the answer")
	}
	s.token = answer.Token
	s.until = begin.Add(time.Duration(answer.ExpiresIn)*time.Second - stableMargin)
	return s.token, nil
}
