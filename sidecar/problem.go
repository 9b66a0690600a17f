package main

import (
	"slices"
	"strings"
)

// problem is an error in one variable. It never quotes the value, which can be a secret
// in the wrong variable. The hint can be part of what.
type problem struct{ variable, what, hint string }

func (p problem) String() string {
	text := p.variable + ": " + p.what
	if p.hint != "" {
		text += "; " + p.hint
	}
	return text
}

// problems are all errors of a configuration.
type problems []problem

func (p *problems) add(variable, what, hint string) {
	*p = append(*p, problem{variable, what, hint})
}

// has reports whether this variable has a problem.
func (p *problems) has(variable string) bool {
	return slices.ContainsFunc(*p, func(one problem) bool { return one.variable == variable })
}

// sorted returns the problems in the order of config.
func (p *problems) sorted() problems {
	order := map[string]int{}
	for i, v := range variables() {
		order[v.name] = i
	}
	sorted := slices.Clone(*p)
	slices.SortStableFunc(sorted, func(a, b problem) int { return order[a.variable] - order[b.variable] })
	return sorted
}

// String returns one line per problem, in the order of config.
func (p *problems) String() string {
	var text strings.Builder
	text.WriteString("sidecar: configuration errors, nothing started:\n")
	for _, one := range p.sorted() {
		text.WriteString("  " + one.String() + "\n")
	}
	return text.String()
}
