package main

import (
	"sync"
	"time"
)

// timed runs work so many times, spread over goroutines, and returns the
// nanoseconds per run.
func timed(goroutines, times int, work func() error) (float64, error) {
	return timedEach(goroutines, times, func() func() error { return work })
}

// timedEach is timed where every goroutine does work of its own.
func timedEach(goroutines, times int, work func() func() error) (float64, error) {
	each := max(1, times/goroutines)
	failed := make(chan error, goroutines)
	begin := make(chan struct{})
	var running sync.WaitGroup
	for range goroutines {
		own := work()
		running.Go(func() {
			<-begin
			for range each {
				if err := own(); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	start := time.Now()
	close(begin)
	running.Wait()
	took := time.Since(start)
	select {
	case err := <-failed:
		return 0, err
	default:
		return float64(took) / float64(each*goroutines), nil
	}
}
