//go:build !race

package web_test

// answerAllocations is what an answer from memory may allocate: the request's
// patience, and nothing to count it.
const answerAllocations = 1.0
