package main

import (
	"regexp"
	"slices"
	"strings"
)

// unknown is a variable that looks like one of ours and is none.
type unknown struct{ name, nearest string }

var (
	// ours are the prefixes under which a name that we do not know is a mistake.
	ours = []string{"WECHAT_", "MEMCACHED_", "SIDECAR_", "MIRROR_"}
	// injected is what Kubernetes sets for Services, one named memcached say.
	injected = regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT$|_PORT_[0-9]+_[A-Z0-9_]+$`)
	// clientVariables are variables of the client library.
	clientVariables = []string{"SIDECAR_URL"}
)

// unknowns finds mistyped variables. It looks at names alone: the value of
// WECHAT_APPSECRETS is a secret.
func unknowns(environ []string) []unknown {
	var known []string
	for _, v := range variables() {
		known = append(known, v.name)
	}
	var found []unknown
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if !slices.ContainsFunc(ours, func(p string) bool { return strings.HasPrefix(name, p) }) ||
			slices.Contains(known, name) || slices.Contains(clientVariables, name) || injected.MatchString(name) {
			continue
		}
		found = append(found, unknown{name, nearest(name, known)})
	}
	slices.SortFunc(found, func(a, b unknown) int { return strings.Compare(a.name, b.name) })
	return found
}

// nearest is the known name that takes the fewest changes to get to.
func nearest(name string, known []string) string {
	return slices.MinFunc(known, func(a, b string) int { return distance(name, a) - distance(name, b) })
}

// distance is how many letters must be put in, left out or replaced.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
