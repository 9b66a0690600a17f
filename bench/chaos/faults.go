package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"
)

const (
	// fullMinutes is what a run with all faults takes.
	fullMinutes = 26
	// reserve is what its last faults, and the looks before them, take of that.
	reserve = 7 * time.Minute
)

// plan is the faults of a run in their turn: first once, then those that are hurt
// again until the time is up, then last.
type plan struct {
	first, again, last []fault
	whole              bool // all of them
}

// firstLife is the shortest life of a token at the start. A whole run begins once
// all have been renewed. In others one that lives much less than usual would be due
// with less time left than the fleet needs to put back what an emptied memcached
// forgot.
func (p plan) firstLife() time.Duration {
	if p.whole {
		return life / 4
	}
	return life * 2 / 3
}

// everything is the plan of a whole run. What the sidecars hold is looked at before
// and after all that they can live through. What kills them comes last.
func everything() plan {
	looks := func(name string, to func(w *world) *map[*pod]state) fault {
		return fault{name: same(name), parts: func(ctx context.Context, w *world) (err error) {
			r := &row{
				name:    words{"no fault, for a minute before all others and for one after them", "没有故障：在所有其他故障之前一分钟，之后一分钟"},
				attacks: []words{oneCall}, span: span{from: w.journal.now()}, free: true,
			}
			*to(w), err = w.take(ctx)
			r.to = w.journal.now()
			w.rows = append(w.rows, r)
			return err
		}}
	}
	hurt := slices.Concat(networkFaults(), memcachedFaults())
	for i := range hurt {
		hurt[i].memcached = true
	}
	return plan{
		whole: true,
		first: slices.Concat([]fault{looks("what the sidecars hold at the beginning", func(w *world) *map[*pod]state { return &w.baseline })},
			frozenFaults(), hurt, weChatFaults(), []fault{{
				name:    words{"the disks of the file mirrors full", "文件镜像所在的磁盘写满"},
				attacks: []words{neverNothing}, hold: 20 * time.Second, run: diskFull, also: mirrored, free: true,
			}}),
		again: backwards(hurt),
		last:  append([]fault{looks("what the sidecars hold at the end", func(w *world) *map[*pod]state { return &w.end })}, lethalFaults()...),
	}
}

// backwards is all of them, the last one first.
func backwards(all []fault) []fault {
	all = slices.Clone(all)
	slices.Reverse(all)
	return all
}

// planned is the faults of a run: in one of 26 minutes all, in a shorter one some,
// in their brief form; or only those that are named.
func planned(minutes int, only string) (plan, error) {
	named, err := regexp.Compile(only)
	if err != nil {
		return plan{}, fmt.Errorf("-only: %w", err)
	}
	p := everything()
	if only == "" && minutes >= fullMinutes {
		return p, nil
	}
	var chosen []fault
	for _, f := range slices.Concat(p.first, p.last) {
		if only == "" {
			f.hold = f.brief
		}
		if (f.brief > 0 || only != "") && named.MatchString(f.name.en) {
			chosen = append(chosen, f)
		}
	}
	if len(chosen) == 0 || minutes < 1 {
		return plan{}, fmt.Errorf("-minutes %d -only %q: that is no fault", minutes, only)
	}
	return plan{first: chosen}, nil
}

// follow has each fault in its turn.
func (w *world) follow(ctx context.Context, p plan, minutes int) error {
	took := map[string]time.Duration{}
	turn := func(f fault) error {
		from := w.journal.now()
		err := w.suffer(ctx, f)
		took[f.name.en] = w.journal.now() - from
		if err != nil {
			return fmt.Errorf("%s: %w", f.name.en, err)
		}
		return nil
	}
	for _, f := range p.first {
		if err := turn(f); err != nil {
			return err
		}
	}
	end := time.Duration(minutes)*time.Minute - reserve
	for fits := true; fits; {
		fits = false
		for _, f := range p.again {
			if w.journal.now()+took[f.name.en] > end {
				continue
			}
			fits = true
			if err := turn(f); err != nil {
				return err
			}
		}
	}
	for _, f := range p.last {
		if err := turn(f); err != nil {
			return err
		}
	}
	return nil
}
