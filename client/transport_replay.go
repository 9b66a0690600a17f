package client

import (
	"bytes"
	"io"
	"net/http"
	"sync"
)

// maxReplay bounds how much of a body without GetBody is recorded.
const maxReplay = 1 << 20

// replay is a request's body that can be sent twice. If the request has no GetBody, it
// records what is sent. It reads nothing ahead, because an app can produce a body
// while net/http sends it.
type replay struct {
	req *http.Request

	mu       sync.Mutex // net/http can still read after the answer has arrived
	recorded []byte     // mu guards it
	complete bool       // mu guards it: the body has ended
	tooLong  bool       // mu guards it: longer than maxReplay
}

func newReplay(req *http.Request) *replay { return &replay{req: req} }

// first returns the body for the first request.
func (r *replay) first() io.ReadCloser {
	if r.empty() || r.req.GetBody != nil {
		return r.req.Body
	}
	return r
}

// again returns the body for the second request, or false if it has none.
func (r *replay) again() (io.ReadCloser, bool) {
	if r.empty() {
		return r.req.Body, true
	}
	if r.req.GetBody != nil {
		body, err := r.req.GetBody()
		return body, err == nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tooLong || !r.complete && int64(len(r.recorded)) != r.req.ContentLength {
		return nil, false
	}
	return io.NopCloser(bytes.NewReader(r.recorded)), true
}

func (r *replay) empty() bool { return r.req.Body == nil || r.req.Body == http.NoBody }

// Read implements io.Reader: it reads the request's body and records it.
func (r *replay) Read(p []byte) (int, error) {
	n, err := r.req.Body.Read(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.recorded)+n > maxReplay {
		r.recorded, r.tooLong = nil, true
	}
	if !r.tooLong {
		r.recorded = append(r.recorded, p[:n]...)
	}
	if err == io.EOF {
		r.complete = true
	}
	return n, err
}

// Close implements io.Closer.
func (r *replay) Close() error { return r.req.Body.Close() }
