package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache"
)

const (
	defaultControl = "http://fakewechat:8080"
	reportEvery    = time.Second
	pollEvery      = 50 * time.Millisecond
	judgeWithin    = 5 * time.Second
)

// reader is an app that reads the token repeatedly through the project's client
// library. After each read it asks the fake whether the token is valid.
type reader struct {
	cfg      client.Config
	control  string
	every    time.Duration // between two reads
	patience time.Duration // for one read
	times    int           // reads until it ends by itself; 0: none

	api    *http.Client // to the control routes
	mu     sync.Mutex   // guards books and tokens
	books  books
	tokens map[string]bool // fingerprints
}

// readerFromEnv reads the client library's variables, and FAKEWECHAT_CONTROL,
// the address of the control routes.
func readerFromEnv(args []string) (*reader, error) {
	r := &reader{control: cmp.Or(os.Getenv("FAKEWECHAT_CONTROL"), defaultControl)}
	flags := flag.NewFlagSet("read", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.DurationVar(&r.every, "every", 100*time.Millisecond, "between two reads")
	flags.DurationVar(&r.patience, "patience", 13*time.Second, "for one read; the default is how long a sidecar may take, and a second")
	flags.IntVar(&r.times, "times", 0, "how often; the exit code is 1 if one failed")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	var err error
	if r.cfg, err = client.ConfigFromEnv(); err != nil {
		return nil, err
	}
	name, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("find out this pod's name: %w", err)
	}
	// A restarted reader begins new counters beside the old ones.
	r.books.Name = name + "@" + time.Now().UTC().Format(time.RFC3339Nano)
	return r, nil
}

// run reads until ctx ends, or so many times, then reports its counters a last time.
func (r *reader) run(ctx context.Context, stdout io.Writer) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	r.tokens = map[string]bool{}
	r.api = &http.Client{Timeout: judgeWithin}
	var source client.Source // of the last read
	r.cfg.Observe = func(o client.Observation) { source = o.Source }
	app, err := client.New(r.cfg)
	if err != nil {
		return err
	}
	defer func() { _ = app.Close() }()
	m := r.cfg.Memcached
	store, err := memcache.New(memcache.Config{Servers: r.cfg.Servers, Hash: m.Hash, Prefix: m.Prefix, Timeout: m.Timeout})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	slot, err := store.Slot(r.cfg.AppID, memcache.AccessToken)
	if err != nil {
		return err
	}

	var running sync.WaitGroup
	running.Go(func() {
		each(ctx, r.every, func() {
			r.read(ctx, app, &source)
			if r.times > 0 && r.books.Reads+r.books.Failed >= r.times { // no other goroutine changes them
				stop()
			}
		})
	})
	running.Go(func() { each(ctx, pollEvery, func() { r.pollEntry(slot) }) })
	running.Go(func() { each(ctx, reportEvery, func() { r.report(stdout) }) })
	running.Wait()
	r.mu.Lock()
	r.books.Ended = true
	r.mu.Unlock()
	r.report(stdout)
	if r.times > 0 && r.books.Failed+r.books.Invalid > 0 {
		return errors.New(r.books.LastError) // it holds no token
	}
	return nil
}

// each calls f at once, and then at that interval until ctx ends.
func each(ctx context.Context, every time.Duration, do func()) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		do()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// read reads the token as an app does, judges it, and reports an invalid one. A read that
// the program's end interrupted does not count.
func (r *reader) read(ctx context.Context, app *client.Client, source *client.Source) {
	limited, cancel := context.WithTimeout(ctx, r.patience)
	defer cancel()
	start := time.Now()
	token, err := app.AccessToken(limited)
	took := time.Since(start)
	if ctx.Err() != nil && err != nil {
		return
	}
	errcode, judged := 0, false
	if err == nil {
		errcode, judged = r.judge(token)
	}
	if errcode != 0 {
		_, _ = app.Refresh(limited, token) // the next read shows whether it helped
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	b := &r.books
	b.LongestMS = max(b.LongestMS, int(took.Milliseconds()))
	if err != nil {
		b.Failed++
		b.LastError, b.LastErrorAt = err.Error(), time.Now() // the library's errors hold no token
		return
	}
	b.Reads++
	if *source == client.SourceSidecar {
		b.FromSidecar++
	} else {
		b.FromMemcached++
	}
	b.Last = memcache.Fingerprint(token)
	r.tokens[b.Last] = true
	b.Tokens = len(r.tokens)
	switch {
	case !judged:
		b.Unjudged++
	case errcode != 0:
		b.Invalid++
		b.LastError, b.LastErrorAt = fmt.Sprintf("token %s is invalid: WeChat would answer %d", b.Last, errcode), time.Now()
	}
}

// pollEntry reads memcached's entry directly.
func (r *reader) pollEntry(slot *memcache.Slot) {
	_, err := slot.Get()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.books.Entry.saw(err == nil, time.Now())
}

// judge asks the fake whether the token is valid. Without an answer it asks again,
// even when the program ends, because the read counts.
func (r *reader) judge(token string) (errcode int, judged bool) {
	for range 2 {
		var v verdict
		if r.post("/accepts", map[string]string{"token": token}, &v) == nil {
			return v.Errcode, true
		}
	}
	return 0, false
}

// report sends the counters to the fake, because a pod's log ends with the pod. It
// prints them too.
func (r *reader) report(stdout io.Writer) {
	bearers, _ := os.ReadFile(r.cfg.AuthTokenFile) // #nosec G703 -- the suite says where
	r.mu.Lock()
	b := r.books
	r.mu.Unlock()
	b.Bearers = len(bytes.Fields(bearers))
	line, err := json.Marshal(b)
	if err != nil {
		line = []byte(err.Error())
	}
	_, _ = fmt.Fprintf(stdout, "%s\n", line)
	if err := r.post("/report", b, nil); err != nil {
		_, _ = fmt.Fprintf(stdout, "the fake did not accept the counters: %v\n", err)
	}
}

// post posts to a control route. Its error quotes no body.
func (r *reader) post(path string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), judgeWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.control+path, bytes.NewReader(text)) // #nosec G704 -- the suite says where
	if err != nil {
		return err
	}
	resp, err := r.api.Do(req) // #nosec G704 -- as above
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return errors.New(path + ": " + resp.Status)
	}
	if into == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	return json.NewDecoder(resp.Body).Decode(into)
}
