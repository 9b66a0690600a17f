package explore

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

const (
	appID  = "wx5103a1c0ffee0001"
	secret = "0123canarysecret4567"

	entryKey  = appID
	recordKey = appID + ":record"
	leaseKey  = appID + ":lease"
	recentKey = appID + ":recent_report"
)

// op is one operation that waits for its release.
type op struct {
	life    *life
	verb    string
	key     string
	sent    []byte
	firm    bool // it continues the operation before it: none comes between
	at      time.Time
	request *http.Request

	decided chan verdict
	lost    bool   // its answer is lost
	fails   string // how a request to WeChat fails
	answer  *httptest.ResponseRecorder
	issued  string // the token that the request made WeChat issue
}

// isCheck reports whether it is a request that checks a reported token.
func (o *op) isCheck() bool { return o.key == "openapi/quota/get" }

// verdict is what happens to an operation.
type verdict int

const (
	released verdict = iota
	dropped          // its process was killed
)

// world is memcached, WeChat and two sidecars in one run.
type world struct {
	begin      time.Time
	api        wechat.API
	memcached  *memcachetest.Server
	wechat     *wechattest.Server
	standalone *standalone // the upstream
	sidecars   []*sidecar
	judge      *judge
	names      *names
	logs       io.Writer // nil: not printed
	story      *story    // nil: not printed

	mu      sync.Mutex // guards what follows
	pending []*op
	arrived chan struct{}

	last     *sidecar // who was released last
	refusing string   // the command that memcached refuses
	healed   time.Time
	versions map[string]int // how often each key was written
	epoch    int            // restarts of memcached
	valid    bool           // WeChat accepts the token that is reported
	timers   []*time.Timer
	over     bool

	views      []view // of each sidecar
	parsed     map[string]*memcache.Record
	numbers    []int64                // of all records, sorted
	claims     map[*sidecar]time.Time // when each last wrote a claim
	unfinished atomic.Int32           // things that are still to happen
}

// start is a situation from which schedules begin.
type start struct {
	name string
	api  wechat.API
	skew time.Duration // of B's clock
	make func(w *world)

	sidecars int // 0: two
}

// newWorld returns a world in which nothing has happened. It is in a synctest bubble.
func newWorld(s start) *world { return newWorldWith(s, nil) }

func newWorldWith(s start, out *story) *world {
	w := &world{
		begin: time.Now(), api: s.api, memcached: memcachetest.New(), wechat: wechattest.New(),
		arrived: make(chan struct{}, 1), versions: map[string]int{}, names: newNames(),
		story: out, claims: map[*sidecar]time.Time{}, parsed: map[string]*memcache.Record{},
	}
	w.judge, w.standalone = newJudge(w), &standalone{world: w, number: 1000}
	w.wechat.AddAccount(appID, secret)
	w.memcached.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
		if c.Verb == w.refusing && time.Now().Before(w.healed) {
			return memcachetest.ServerError
		}
		return memcachetest.None
	})
	for i, spread := range []float64{0.23, 0.61, 0.87}[:max(2, s.sidecars)] {
		w.sidecars = append(w.sidecars, &sidecar{world: w, name: string(rune('A' + i)), spread: spread})
	}
	w.sidecars[1].skew = s.skew
	w.views = make([]view, len(w.sidecars))
	s.make(w)
	return w
}

// end ends all that runs.
func (w *world) end() {
	w.over = true
	for _, timer := range w.timers {
		timer.Stop()
	}
	for _, s := range w.sidecars {
		if s.life != nil {
			l := s.life
			s.kill()
			l.done.Wait()
		}
	}
	_ = w.memcached.Close()
}

// after has something happen later.
func (w *world) after(d time.Duration, do func()) {
	w.unfinished.Add(1)
	w.timers = append(w.timers, time.AfterFunc(d, func() {
		defer w.unfinished.Add(-1)
		if !w.over {
			do()
		}
	}))
}

// wait blocks an operation until the scheduler releases it.
func (w *world) wait(o *op) verdict {
	o.decided = make(chan verdict, 1)
	w.mu.Lock()
	select {
	case <-o.life.killed:
		w.mu.Unlock()
		return dropped
	default:
	}
	w.pending = append(w.pending, o)
	w.mu.Unlock()
	select {
	case w.arrived <- struct{}{}:
	default:
	}
	return <-o.decided
}

// drop ends the operations of a process that was killed.
func (w *world) drop(l *life) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending = slices.DeleteFunc(w.pending, func(o *op) bool {
		if o.life == l {
			o.decided <- dropped
		}
		return o.life == l
	})
}

// waiting returns the operations that wait, in an order that two runs share.
func (w *world) waiting() []*op {
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.SortStableFunc(w.pending, func(a, b *op) int {
		return cmp.Or(cmp.Compare(a.life.of.name, b.life.of.name), cmp.Compare(a.verb, b.verb), cmp.Compare(a.key, b.key))
	})
	return slices.Clone(w.pending)
}

// release has an operation happen.
func (w *world) release(o *op) {
	w.mu.Lock()
	w.pending = slices.DeleteFunc(w.pending, func(other *op) bool { return other == o })
	w.mu.Unlock()
	w.last = o.life.of
	s := o.life.of
	switch {
	case o.verb != "request":
	case s.unable == noRoute && time.Now().Before(s.until):
		o.fails = noRoute
		w.log(o, noRoute)
	case s.unable == offWhitelist && time.Now().Before(s.until):
		o.answer = httptest.NewRecorder()
		_, _ = io.WriteString(o.answer, `{"errcode":40164,"errmsg":"invalid ip 192.0.2.1, not in whitelist"}`)
		w.log(o, offWhitelist)
	case o.isAsk():
		w.releaseAsk(o)
	case o.isCheck(): // it issues nothing, and is no renewal
		o.answer, _ = w.deliver(o.request)
		w.log(o, strings.TrimSpace(o.answer.Body.String())[:len(`{"errcode":0`)])
	case o.fails == busy:
		o.answer = httptest.NewRecorder()
		_, _ = io.WriteString(o.answer, `{"errcode":-1,"errmsg":"system error"}`)
		w.log(o, busy)
	case o.fails == unanswered:
		w.judge.sent(o)
		w.judge.lost = true
		_, issued := w.deliver(o.request)
		w.log(o, w.names.of(issued)+", never answered")
	case o.fails == late:
		w.judge.sent(o)
		w.judge.lost = true
		w.log(o, late)
		w.after(50*time.Second, func() {
			_, issued := w.deliver(o.request)
			w.note("", "WeChat gets the late request of %s and issues %s", s.name, w.names.of(issued))
		})
	default:
		w.judge.sent(o)
		o.answer, o.issued = w.deliver(o.request)
		w.log(o, w.names.of(o.issued))
	}
	if o.verb == "answer" && o.isAsk() {
		w.log(o, "")
	} else if o.verb == "answer" {
		if o.request.Context().Err() != nil {
			w.judge.timedOut(o)
		}
		result := w.names.of(o.issued)
		if o.lost {
			result += ", which is lost"
		}
		w.log(o, result)
	}
	o.decided <- released
	synctest.Wait()
}

// did notes an operation on memcached and its answer.
func (w *world) did(o *op, answer string) {
	switch {
	case strings.HasPrefix(answer, "STORED"), strings.HasPrefix(answer, "DELETED"), o.verb == "incr":
		w.mu.Lock()
		w.versions[o.key]++
		w.mu.Unlock()
		if r := w.record(); o.key == recordKey && r != nil {
			w.judge.written(o.life.of, r)
		}
	}
	if hasSpace(o.key) && time.Since(o.at) < time.Second { // otherwise it took too long, and failed
		o.life.of.polled = time.Now()
	}
	result := answer
	if o.verb == "gets" || o.verb == "get" {
		result = w.reads(o)
	}
	if o.lost {
		w.log(o, "its answer is lost")
		return
	}
	s := o.life.of
	if o.verb == "gets" || o.verb == "get" {
		if s.reads[o.key] == nil {
			s.reads[o.key] = new(reading)
		}
		if s.reads[o.key].again(result) {
			w.note(s.name, "%s", w.line(o, result))
			return
		}
	}
	w.log(o, result)
}

// reads returns what an operation reads now.
func (w *world) reads(o *op) (result string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, key := range strings.Fields(o.key) {
		if item, ok := w.memcached.Peek(key); ok {
			result += fmt.Sprintf("%s=%s#%d ", key[len(appID):], w.names.plain(o.life.of, item.Value), w.versions[key])
		}
	}
	return result
}

// reading is what a sidecar read last of some keys, and how often in a row.
type reading struct {
	result string
	times  int
}

// again notes a reading, and reports whether it is one of many that changed nothing.
func (r *reading) again(result string) bool {
	if r.result != result {
		*r = reading{result: result}
	}
	r.times++
	return r.times > enough
}

// enough is how often a sidecar reads the same before a further reading has no choices.
const enough = 2

// log adds an operation to what its sidecar did.
func (w *world) log(o *op, result string) {
	s := o.life.of
	text := o.verb + " " + o.key + " " + w.names.plain(s, valueOf(o)) + " " + result
	s.log = sum(s.log, text, phase(time.Since(s.resetAt)))
	w.note(s.name, "%s", w.line(o, result))
}

// valueOf returns the value that an operation writes.
func valueOf(o *op) string {
	_, value, _ := strings.Cut(string(o.sent), "\r\n")
	return strings.TrimSuffix(value, "\r\n")
}

// sum returns a hash that is the same in every process.
func sum(before uint64, parts ...string) uint64 {
	h := before ^ 14695981039346656037
	for _, part := range parts {
		for i := range len(part) {
			h = (h ^ uint64(part[i])) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211
	}
	return h
}

// hash returns a hash of all that decides what happens next.
func (w *world) hash(waiting []*op) uint64 {
	var all strings.Builder
	add := func(parts ...any) { _, _ = fmt.Fprintln(&all, parts...) }
	now := time.Now()
	ago := func(t time.Time) string { // of what is over, nothing is left
		if t.IsZero() || t.Before(now) {
			return ""
		}
		return phase(t.Sub(now))
	}
	for _, s := range w.sidecars {
		add(s.log, s.life != nil, s.stopped.IsZero(), s.phase, phase(now.Sub(s.resetAt)), phase(now.Sub(s.polled)))
		if now.Before(s.until) {
			add(s.unable, ago(s.until))
		}
	}
	for _, key := range w.memcached.Keys() {
		item, _ := w.memcached.Peek(key)
		if key == recordKey {
			d := dumper{w: w, now: now}
			if r := w.record(); r != nil {
				d.value(reflect.ValueOf(r).Elem())
			}
			add(key, d.out.String())
			continue
		}
		add(key, w.names.plain(nil, item.Value), phase(item.Expires.Sub(now)))
	}
	for _, issue := range w.wechat.Issued() {
		if w.wechat.Accepts(issue.Token) == 0 {
			add(w.names.of(issue.Token), phase(now.Sub(issue.At)))
		}
	}
	for _, o := range waiting {
		add(o.life.of.name, o.verb, o.key)
	}
	if w.last != nil {
		add(w.last.name)
	}
	add(ago(w.healed), w.unfinished.Load(), w.judge.state())
	if now.Before(w.healed) {
		add(w.refusing)
	}
	return sum(0, all.String())
}

// names gives the random values of a run names that two schedules share: T1 is the token
// that WeChat issued first, A.1 the first id that A wrote.
type names struct {
	mu     sync.Mutex
	tokens map[string]string // and their fingerprints
	count  int
	ids    map[string]string
	full   map[string]string // tokens by their fingerprints
	texts  map[string]string // what plain returned
}

func newNames() *names {
	return &names{tokens: map[string]string{}, full: map[string]string{}, ids: map[string]string{}, texts: map[string]string{}}
}

func (n *names) token(token string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.tokens[token] != "" {
		return // stable_token gives the same again
	}
	n.count++
	name := fmt.Sprint("T", n.count)
	n.tokens[token], n.tokens[memcache.Fingerprint(token)] = name, name
	n.full[memcache.Fingerprint(token)] = token
	clear(n.texts)
}

// number returns which token that WeChat issued it is, 0 if none.
func (n *names) number(token string) int {
	number, _ := strconv.Atoi(strings.TrimPrefix(n.of(token), "T"))
	return number
}

// tokenOf returns the token with this fingerprint.
func (n *names) tokenOf(fingerprint string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.full[fingerprint]
}

func (n *names) of(token string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.tokens[token]
}

const tokenMark = "90_canarytoken"

// plain returns text with the names. s is the sidecar that wrote it, nil if that is over.
func (n *names) plain(s *sidecar, text string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if known, ok := n.texts[text]; ok {
		return known
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		if strings.HasPrefix(text[i:], tokenMark) && len(text) >= i+136 {
			b.WriteString(n.tokens[text[i:i+136]])
			i += 136
			continue
		}
		run := 0
		for i+run < len(text) && isHex(text[i+run]) {
			run++
		}
		switch {
		case run == 32:
			id := text[i : i+32]
			if n.ids[id] == "" && s != nil {
				s.ids++
				n.ids[id] = fmt.Sprintf("%s.%d", s.name, s.ids)
			}
			b.WriteString(n.ids[id])
		case run == 8 && n.tokens[text[i:i+8]] != "":
			b.WriteString(n.tokens[text[i:i+8]])
		case run > 0:
			b.WriteString(text[i : i+run])
		default:
			b.WriteByte(text[i])
			run = 1
		}
		i += run
	}
	n.texts[text] = b.String()
	return b.String()
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' }

// record returns the record in memcached, nil if there is none.
func (w *world) record() *memcache.Record {
	item, ok := w.memcached.Peek(recordKey)
	if !ok {
		return nil
	}
	r, known := w.parsed[item.Value]
	if !known {
		r = new(memcache.Record)
		if json.Unmarshal([]byte(item.Value), r) != nil {
			r = nil
		}
		w.parsed[item.Value] = r
	}
	return r
}

// entry returns the token in the entry.
func (w *world) entry() string {
	item, _ := w.memcached.Peek(entryKey)
	return item.Value
}
