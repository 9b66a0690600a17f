package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/bench/program"
)

// resources are what a sidecar uses.
type resources struct {
	pid         int
	at          time.Duration
	descriptors int
	goroutines  int
	heap        int // bytes in use after the last collection
	private     int // bytes of memory
}

const (
	// samples of sampleEvery each are longer than a sidecar keeps what it no longer
	// needs. It keeps connections to WeChat and from apps for 30 s after their last
	// use, and connections to memcached until a poll within 15 s. It returns memory 11 s
	// after its last request to WeChat, and once in 66 s while requests do not end.
	samples     = 140
	sampleEvery = 500 * time.Millisecond
)

// measure adds the least that each sidecar uses within 70 s to measured. Renewals and
// readers take connections and memory for a while; a leak shows at every moment.
func measure(ctx context.Context, h *harness, _ time.Duration) error {
	r := h.addRow(fault{name: "no fault: resources measured", readersFree: true})
	least := map[*pod]resources{}
	for range samples {
		for _, p := range h.pods {
			now, err := h.resources(p)
			if err != nil {
				return err
			}
			if l, seen := least[p]; seen {
				now.descriptors, now.goroutines = min(now.descriptors, l.descriptors), min(now.goroutines, l.goroutines)
				now.heap, now.private = min(now.heap, l.heap), min(now.private, l.private)
			}
			least[p] = now
		}
		if err := program.Sleep(ctx, sampleEvery); err != nil {
			return err
		}
	}
	h.measured = append(h.measured, least)
	r.to = h.now()
	return nil
}

// resources returns what a sidecar uses. The sidecar writes its goroutines, and the
// bytes of its heap that were in use after the last collection, every second.
func (h *harness) resources(p *pod) (resources, error) {
	now := resources{pid: p.pid(), at: h.now()}
	open, err1 := os.ReadDir(p.proc("fd"))
	memory, err2 := os.ReadFile(p.proc("smaps_rollup"))
	held, err3 := os.ReadFile(h.path("failpoints", "held."+strconv.Itoa(now.pid)))
	if err := errors.Join(err1, err2, err3); err != nil {
		return now, err
	}
	for line := range strings.Lines(string(memory)) {
		if kilobytes, ok := strings.CutPrefix(line, "Anonymous:"); ok {
			_, err1 = fmt.Sscan(kilobytes, &now.private)
		}
	}
	now.descriptors, now.private = len(open), now.private<<10
	_, err2 = fmt.Sscan(string(held), &now.goroutines, &now.heap)
	return now, errors.Join(err1, err2)
}

// The limits of growth: connections to memcached, to WeChat or from an app within half
// a minute, and their share of the heap. Private memory says little about a leak: a
// sidecar returns what it does not need after its own requests to WeChat alone, and
// other sidecars may have sent them. Its limit is the request of the manifests.
const (
	moreDescriptors = 3
	moreGoroutines  = 4
	moreHeap        = 1 << 20
	mostPrivate     = 16 << 20
)

// grown reports whether a sidecar uses more at the end than at the start. A sidecar
// that did not live from the start to the end counts as grown.
func grown(start, end resources) bool {
	return end.descriptors > start.descriptors+moreDescriptors || end.goroutines > start.goroutines+moreGoroutines ||
		end.heap > start.heap+moreHeap || end.private > mostPrivate || end.pid != start.pid
}

// writeResources writes what the sidecars use, if the run measured it. It returns an
// error if a sidecar has grown.
func (h *harness) writeResources(b *strings.Builder) (err error) {
	if len(h.measured) < 2 {
		return nil
	}
	megabytes := func(start, end int) string { return fmt.Sprintf("%.1f → %.1f", float64(start)/1e6, float64(end)/1e6) }
	rows := [][]string{{"sidecar", "seconds between", "descriptors", "goroutines", "heap in use, MB", "private memory, MB"}}
	for _, p := range h.pods {
		start, end := h.measured[0][p], h.measured[1][p]
		if grown(start, end) {
			err = errors.Join(err, fmt.Errorf("sidecar %d has grown", p.number))
		}
		rows = append(rows, []string{
			fmt.Sprint(p.number), fmt.Sprintf("%.0f", (end.at - start.at).Seconds()),
			fmt.Sprintf("%d → %d", start.descriptors, end.descriptors), fmt.Sprintf("%d → %d", start.goroutines, end.goroutines),
			megabytes(start.heap, end.heap), megabytes(start.private, end.private),
		})
	}
	b.WriteString(resourcesHead + program.Markdown(0, rows))
	return err
}
