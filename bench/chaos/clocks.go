package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// clock is a row of wall clocks that jump: in virtual time, since a process cannot
// have a clock of its own.
type clock struct {
	of, all int
	by      time.Duration
	figures []string // reads, dead, failed, calls beyond one per renewal
}

var clockHead = []words{
	{"wall clocks jump", "时钟跳变"},
	{"attacks", "针对"},
	{"reads", "读取"},
	{"dead", "失效"},
	{"failed", "失败"},
	{"calls beyond one per renewal", "超出“每次续期一次”的调用"},
}

var clockRow = regexp.MustCompile(`\| (\d+) of (\d+) wall clocks jump by (\S+) \|[^|]+\| (\d+) \| (\d+) \| (\d+) \| (\d+) \|`)

// jumped runs the test of clocks that jump, and reads its rows.
func (w *world) jumped(ctx context.Context) error {
	out, err := goTool(ctx, w.root, "test", "./sidecar/keeper", "-run", "TestAWallClockThatJumps", "-count=1", "-v")
	if err != nil {
		return err // a failed test is a promise that was broken
	}
	for _, found := range clockRow.FindAllStringSubmatch(out, -1) {
		c := clock{figures: found[4:]}
		if _, err = fmt.Sscan(found[1]+" "+found[2], &c.of, &c.all); err != nil {
			return err
		}
		if c.by, err = time.ParseDuration(found[3]); err != nil {
			return err
		}
		w.clocks = append(w.clocks, c)
	}
	if len(w.clocks) == 0 {
		return errors.New("the test of wall clocks that jump printed no row")
	}
	slices.SortFunc(w.clocks, func(a, b clock) int {
		if a.of != b.of {
			return a.of - b.of
		}
		return int(b.by - a.by)
	})
	return nil
}

func (c clock) cells(in language) []string {
	name := words{"%d of %d sidecars, ", "%d 个 sidecar（共 %d 个），"}.filled(c.of, c.all)
	if c.by < 0 {
		name = name.and(words{"backwards by ", "拨慢 "})
	} else {
		name = name.and(words{"forwards by ", "拨快 "})
	}
	if by := c.by.Abs(); by < time.Hour {
		name = name.and(words{"%.0f minutes", "%.0f 分钟"}.filled(by.Minutes()))
	} else {
		name = name.and(words{"%.0f hours", "%.0f 小时"}.filled(by.Hours()))
	}
	return append([]string{in.of(name), list([]words{oneCall, neverDead, neverNothing}, in)}, c.figures...)
}
