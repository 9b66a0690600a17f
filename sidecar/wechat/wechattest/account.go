package wechattest

import "time"

const (
	forceRefreshApart  = 30 * time.Second
	forceRefreshPerDay = 20
)

// account is one AppID. The server's lock guards it.
type account struct {
	appID, secret string

	classic, classicBefore *token // the newest, and the one in its grace period
	stable                 *token

	quota        map[string]*quota // by API
	forceRefresh quota
	refreshedAt  time.Time // the last force_refresh
	clears       clears
}

// quota counts requests of one day and of one minute.
type quota struct {
	day, minute                       int64
	requestsToday, requestsThisMinute int
}

// at resets the counts after a day in Beijing, or a minute.
func (q *quota) at(now time.Time) {
	const ahead, secondsPerDay = 8 * 3600, 24 * 3600
	if day := (now.Unix() + ahead) / secondsPerDay; day != q.day {
		q.day, q.requestsToday = day, 0
	}
	if minute := now.Unix() / 60; minute != q.minute {
		q.minute, q.requestsThisMinute = minute, 0
	}
}

func (q *quota) count() { q.requestsToday++; q.requestsThisMinute++ }

// fetch processes a valid request. It returns the token, or nil and an errcode, and
// whether the token is new.
func (s *Server) fetch(acc *account, api string, force bool, now time.Time) (tok *token, isNew bool, errcode int) {
	q := acc.quota[api]
	q.at(now)
	if q.requestsToday >= s.dailyQuota[api] {
		return nil, false, 45009
	}
	if api == stableAPI && q.requestsThisMinute >= s.minuteQuota {
		return nil, false, 45011
	}
	switch {
	case api == classicAPI:
		tok, isNew = s.newClassic(acc, now), true
	case force:
		tok, isNew, errcode = s.forceStable(acc, now)
	default:
		tok, isNew = s.normalStable(acc, now)
	}
	if errcode == 0 {
		q.count()
	}
	return tok, isNew, errcode
}

// newClassic ends the previous token after the grace period, and the one before that
// at once.
func (s *Server) newClassic(acc *account, now time.Time) *token {
	if acc.classicBefore != nil {
		acc.classicBefore.endAt(now)
	}
	if acc.classic != nil {
		acc.classic.endAt(now.Add(s.grace))
	}
	acc.classic, acc.classicBefore = s.newToken(acc, now), acc.classic
	return acc.classic
}

// normalStable returns the same token while more than the grace period remains. A
// replaced token works until it expires.
func (s *Server) normalStable(acc *account, now time.Time) (tok *token, isNew bool) {
	if acc.stable != nil && acc.stable.expires.Sub(now) >= s.grace && acc.stable.errcode(now) == 0 {
		return acc.stable, false
	}
	acc.stable = s.newToken(acc, now)
	return acc.stable, true
}

// forceStable ends the token at once. If the last force_refresh was too recent, it is a
// normal request.
func (s *Server) forceStable(acc *account, now time.Time) (tok *token, isNew bool, errcode int) {
	if !acc.refreshedAt.IsZero() && now.Sub(acc.refreshedAt) < forceRefreshApart {
		tok, isNew = s.normalStable(acc, now)
		return tok, isNew, 0
	}
	acc.forceRefresh.at(now)
	if acc.forceRefresh.requestsToday >= forceRefreshPerDay {
		return nil, false, 45009
	}
	acc.forceRefresh.count()
	if acc.stable != nil {
		acc.stable.endAt(now)
	}
	acc.stable, acc.refreshedAt = s.newToken(acc, now), now
	return acc.stable, true, 0
}
