package main

import (
	"regexp"
	"slices"
	"strings"
)

// unknownVariable is a variable with a prefix of ours that the program does not know.
type unknownVariable struct{ name, nearest string }

var (
	// ourPrefixes begin the names of the program's variables.
	ourPrefixes = []string{"WECHAT_", "MEMCACHED_", "SIDECAR_", "MIRROR_"}
	// injected matches what Kubernetes sets for a Service, such as one named memcached.
	injected = regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT$|_PORT_[0-9]+_[A-Z0-9_]+$`)
	// clientVariables are those that the client library alone reads.
	clientVariables = []string{"SIDECAR_URL"}
)

// unknownVariables finds misspelled variables. It does not return values: that of
// WECHAT_APPSECRETS is a secret.
func unknownVariables(environ []string) []unknownVariable {
	var known []string
	for _, v := range variables() {
		known = append(known, v.name)
	}
	var found []unknownVariable
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if !slices.ContainsFunc(ourPrefixes, func(p string) bool { return strings.HasPrefix(name, p) }) ||
			slices.Contains(known, name) || slices.Contains(clientVariables, name) || injected.MatchString(name) {
			continue
		}
		found = append(found, unknownVariable{name, nearest(name, slices.Concat(known, clientVariables))})
	}
	slices.SortFunc(found, func(a, b unknownVariable) int { return strings.Compare(a.name, b.name) })
	return found
}

// nearest returns the known name with the smallest distance.
func nearest(name string, known []string) string {
	return slices.MinFunc(known, func(a, b string) int { return distance(name, a) - distance(name, b) })
}

// distance returns how many letters differ: inserted, deleted or replaced (Levenshtein).
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
