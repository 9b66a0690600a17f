package wechattest

import "time"

const (
	forcedApart  = 30 * time.Second
	forcedPerDay = 20
)

// account is one AppID. The server's lock guards it.
type account struct {
	appID, secret string

	classic, classicBefore *token // the newest, and the one in its grace
	stable                 *token

	quota    map[string]*quota // by API
	forced   quota
	forcedAt time.Time
}

// quota counts calls of one day and of one minute.
type quota struct {
	day, minute           int64
	callsToday, callsThis int
}

// at starts afresh where a day, in Beijing, or a minute is over.
func (q *quota) at(now time.Time) {
	const ahead, secondsPerDay = 8 * 3600, 24 * 3600
	if day := (now.Unix() + ahead) / secondsPerDay; day != q.day {
		q.day, q.callsToday = day, 0
	}
	if minute := now.Unix() / 60; minute != q.minute {
		q.minute, q.callsThis = minute, 0
	}
}

func (q *quota) count() { q.callsToday++; q.callsThis++ }

// fetch is a credential call that passed its checks. It returns the token, or
// nil and an errcode, and whether the token is new.
func (s *Server) fetch(acc *account, api string, force bool, now time.Time) (tok *token, isNew bool, errcode int) {
	q := acc.quota[api]
	q.at(now)
	if q.callsToday >= s.dailyQuota[api] {
		return nil, false, 45009
	}
	if api == stableAPI && q.callsThis >= s.minuteQuota {
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

// newClassic ends the life of the token before in a grace, and of the one before
// that at once.
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

// normalStable returns the same token while enough of it is left. A replaced one
// works to its own end.
func (s *Server) normalStable(acc *account, now time.Time) (tok *token, isNew bool) {
	if acc.stable != nil && acc.stable.dies.Sub(now) >= s.grace && acc.stable.errcode(now) == 0 {
		return acc.stable, false
	}
	acc.stable = s.newToken(acc, now)
	return acc.stable, true
}

// forceStable kills the token at once, unless it is too soon: then it is a
// normal call.
func (s *Server) forceStable(acc *account, now time.Time) (tok *token, isNew bool, errcode int) {
	if !acc.forcedAt.IsZero() && now.Sub(acc.forcedAt) < forcedApart {
		tok, isNew = s.normalStable(acc, now)
		return tok, isNew, 0
	}
	acc.forced.at(now)
	if acc.forced.callsToday >= forcedPerDay {
		return nil, false, 45009
	}
	acc.forced.count()
	if acc.stable != nil {
		acc.stable.endAt(now)
	}
	acc.stable, acc.forcedAt = s.newToken(acc, now), now
	return acc.stable, true, 0
}
