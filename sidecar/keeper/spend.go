package keeper

import (
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
)

// forceRefreshEvery is the shortest time between two requests with force_refresh: WeChat
// allows 20 a day.
const forceRefreshEvery = 75 * time.Minute

// spent is the use of the budget that a request takes.
type spent struct {
	mark memcache.Spent
	own  bool // this process counted it
}

// takeUse takes a use of the budget, of this process and of all. It reports whether both
// had one.
func (a *attempt) takeUse(now protocol.Now) (bool, error) {
	a.mu.Lock()
	a.spent.own = a.link.spent.Spend(now)
	a.mu.Unlock()
	if !a.spent.own {
		return false, nil
	}
	mark, ok, err := a.slot.Spend(memcache.MarkBudget, protocol.Budget, protocol.BudgetWindow)
	a.spent.mark = mark
	if !ok || err != nil {
		a.giveBack()
	}
	return ok, err
}

// giveBack frees the use of the budget, because the request was not sent.
func (a *attempt) giveBack() {
	if a.spent.own {
		a.mu.Lock()
		a.link.spent.GiveBack()
		a.mu.Unlock()
	}
	_ = a.slot.GiveBack(a.spent.mark) // if it fails, the use stays taken
	a.spent = spent{}
}

// mayCheck takes the one check of a reported token that this process allows in 31 s: the mark
// of the last report can be deleted.
func (c *credential) mayCheck() bool {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.link.spent.Check(now)
}

// mayForceRefresh takes the one force_refresh that is allowed in 75 minutes, and a use of
// the budget. It reports whether it got both.
func (a *attempt) mayForceRefresh() (mark memcache.Spent, ok bool) {
	mark, ok, err := a.slot.Take(memcache.MarkForceRefresh, forceRefreshEvery)
	if !ok || err != nil {
		return mark, false
	}
	now := a.now()
	a.mu.Lock()
	own := a.link.spent.Force(forceRefreshEvery, now)
	a.mu.Unlock()
	if !own {
		_ = a.slot.GiveBack(mark)
		return mark, false
	}
	if ok, err = a.takeUse(now); !ok || err != nil {
		a.giveForceBack(mark)
		return mark, false
	}
	return mark, true
}

// giveForceBack lets the next renewal use force_refresh.
func (a *attempt) giveForceBack(mark memcache.Spent) {
	a.mu.Lock()
	a.link.spent.GiveForceBack()
	a.mu.Unlock()
	_ = a.slot.GiveBack(mark)
}

// waitForBudget makes all sidecars wait because the budget has no free use.
func (a *attempt) waitForBudget() error {
	e := &Error{Reason: Budget, Code: budgetCode, Message: budgetUsedUp, Hint: a.budgetHint(), RetryAfter: protocol.PersonWait}
	_ = a.lease.CoolDown(memcache.Cooldown{
		Class: string(protocol.OverBudget), ErrCode: e.Code, Until: a.Wall().Add(protocol.PersonWait).Unix(),
	}, protocol.PersonWait)
	a.count(func(n *Counts) { n.failed(e.Code) })
	now := time.Now()
	a.mu.Lock()
	news := now.After(a.link.refused)
	if news { // reports go on during the wait, and the cooldown can be deleted
		a.link.refused = now.Add(protocol.PersonWait)
	}
	a.mu.Unlock()
	if news {
		a.log().Error("renewal refused by the budget", "hint", e.Hint)
	}
	return &failure{err: e, until: now.Add(protocol.PersonWait)}
}
