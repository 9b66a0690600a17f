package main

import (
	"slices"
	"strings"
)

// problem is something wrong with one variable. It never quotes the value: what
// stands in a wrong variable may well be a secret.
type problem struct{ variable, what, hint string }

func (p problem) String() string {
	text := p.variable + ": " + p.what
	if p.hint != "" { // else what says it
		text += "; " + p.hint
	}
	return text
}

// problems is everything that is wrong, in the order of the table of variables.
type problems []problem

func (p *problems) add(variable, what, hint string) {
	*p = append(*p, problem{variable, what, hint})
}

// has reports whether something was found about this variable.
func (p *problems) has(variable string) bool {
	return slices.ContainsFunc(*p, func(one problem) bool { return one.variable == variable })
}

// String is what an operator reads: one line for each.
func (p *problems) String() string {
	order := map[string]int{}
	for i, v := range variables() {
		order[v.name] = i
	}
	sorted := slices.Clone(*p)
	slices.SortStableFunc(sorted, func(a, b problem) int { return order[a.variable] - order[b.variable] })
	var text strings.Builder
	text.WriteString("sidecar: the configuration is wrong, nothing was started:\n")
	for _, one := range sorted {
		text.WriteString("  " + one.String() + "\n")
	}
	return text.String()
}
