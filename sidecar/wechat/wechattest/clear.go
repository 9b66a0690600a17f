package wechattest

import (
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// clearsPerMonth is how often clear_quota/v2 works for an account.
const clearsPerMonth = 10

// clears counts the resets of one month.
type clears struct{ month, count int }

// serveClear is clear_quota/v2.
func (s *Server) serveClear(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	request := credentialRequest{GrantType: "client_credential"}
	if err != nil || json.Unmarshal(body, &request) != nil {
		request.malformed = 47001
	}
	if r.Method != http.MethodPost {
		request.malformed = 43002
	}
	request.Secret = request.AppSecret
	s.mu.Lock()
	code := s.check(request)
	if code == 0 {
		code = s.accounts[request.AppID].clear(s.now())
	}
	s.mu.Unlock()
	s.writeErrcode(w, code, "")
}

// clear resets the counts of today. It returns the errcode.
func (a *account) clear(now time.Time) int {
	year, month, _ := now.In(time.FixedZone("Asia/Shanghai", 8*3600)).Date()
	if this := 12*year + int(month); this != a.clears.month {
		a.clears = clears{month: this}
	}
	if a.clears.count == clearsPerMonth {
		return 48006
	}
	a.clears.count++
	for _, q := range a.quota {
		*q = quota{}
	}
	a.forceRefresh = quota{}
	return 0
}

// Clears returns how often clear_quota/v2 worked for an account this month.
func (s *Server) Clears(appID string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	acc, ok := s.accounts[appID]
	if !ok {
		return 0
	}
	return acc.clears.count
}
