package sdktest

import (
	"cmp"
	"fmt"
	"strings"
)

// markdown is the programs as docs/benchmarks.md shows them: those of the quiet run, beside
// the same in trouble.
func markdown(quiet, trouble []*program) string {
	var text strings.Builder
	text.WriteString("| variant or SDK | what changes in its code | the sidecar has | calls for a token / dead tokens used / requests " +
		"| the same in trouble | had no token then | AppSecret needed |\n|---|---|---|---|---|---|---|\n")
	for i, p := range quiet {
		q := trouble[i]
		fmt.Fprintf(&text, "| %s | %s | %s | %d / %d / %d | %d / %d / %d | %d | no |\n", p.name, p.change, cmp.Or(p.with, "–"),
			p.count.fetches, p.count.dead, p.count.uses, q.count.fetches, q.count.dead, q.count.uses, q.without())
	}
	return text.String()
}
