package keeper

// logProgress logs how far a start with many accounts is: at every look until
// each has had its turn, and then once.
func (g *Group) logProgress() {
	held, waiting := 0, 0
	all := g.all()
	for _, c := range all {
		now := c.now()
		c.mu.Lock()
		live, tried := c.held.Valid(now), c.backoff.err != nil
		c.mu.Unlock()
		switch {
		case live:
			held++
		case !tried:
			waiting++
		}
	}
	g.mu.Lock()
	begun := g.behind
	g.behind = waiting > 0
	g.mu.Unlock()
	switch failed := len(all) - held - waiting; {
	case waiting > 0:
		g.cfg.Log.Info("fetching what memcached does not hold", "held", held, "waiting", waiting, "failed", failed)
	case begun:
		g.cfg.Log.Info("everything has been fetched or tried", "held", held, "failed", failed)
	}
}

// housekeep follows each poll: it logs the progress of a start, and closes the
// connections that renewals opened when no renewal is left.
func (g *Group) housekeep() {
	g.logProgress()
	if g.queue.isIdle() {
		g.cfg.Store.Trim()
	}
}
