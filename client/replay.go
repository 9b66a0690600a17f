package client

import (
	"bytes"
	"io"
	"net/http"
	"sync"
)

// maxReplay bounds how much of a body without GetBody is remembered.
const maxReplay = 1 << 20

// replay is a request's body that can be sent twice. Where the request cannot give
// it again itself, what is sent is remembered on its way: nothing is read ahead,
// so a body that is produced while it is sent still is.
type replay struct {
	req *http.Request

	mu   sync.Mutex // net/http may still read when the answer is here
	seen []byte     // mu guards it
	all  bool       // mu guards it: the end of the body was seen
	over bool       // mu guards it: longer than maxReplay
}

func newReplay(req *http.Request) *replay { return &replay{req: req} }

// first returns the body for the first time.
func (r *replay) first() io.ReadCloser {
	if r.plain() || r.req.GetBody != nil {
		return r.req.Body
	}
	return r
}

// again returns it for the second time, or false where that is not possible.
func (r *replay) again() (io.ReadCloser, bool) {
	if r.plain() {
		return r.req.Body, true
	}
	if r.req.GetBody != nil {
		body, err := r.req.GetBody()
		return body, err == nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over || !r.all && int64(len(r.seen)) != r.req.ContentLength {
		return nil, false
	}
	return io.NopCloser(bytes.NewReader(r.seen)), true
}

func (r *replay) plain() bool { return r.req.Body == nil || r.req.Body == http.NoBody }

// Read is io.Reader's: it reads the request's body and remembers.
func (r *replay) Read(p []byte) (int, error) {
	n, err := r.req.Body.Read(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.seen)+n > maxReplay {
		r.seen, r.over = nil, true
	}
	if !r.over {
		r.seen = append(r.seen, p[:n]...)
	}
	if err == io.EOF {
		r.all = true
	}
	return n, err
}

// Close is io.Closer's.
func (r *replay) Close() error { return r.req.Body.Close() }
