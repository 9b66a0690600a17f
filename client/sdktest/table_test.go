package sdktest

import (
	"cmp"
	"fmt"
	"strings"
)

// markdown returns the table of docs/benchmarks.md: the programs of the quiet run, and the
// same with faults.
func markdown(quiet, faults []*program) string {
	var text strings.Builder
	text.WriteString("| variant or SDK | what changes in its code | the sidecar has | requests for a token / invalid tokens used / requests " +
		"| the same with faults | without a token then | AppSecret needed |\n|---|---|---|---|---|---|---|\n")
	for i, p := range quiet {
		q := faults[i]
		fmt.Fprintf(&text, "| %s | %s | %s | %d / %d / %d | %d / %d / %d | %d | no |\n", p.name, p.change, cmp.Or(p.with, "–"),
			p.count.fetches, p.count.invalid, p.count.uses, q.count.fetches, q.count.invalid, q.count.uses, q.without())
	}
	return text.String()
}
