//go:build race

package web_test

// answerAllocations is what an answer from memory may allocate: the race detector
// makes pools forget, at random, what is put into them.
const answerAllocations = 4.0
