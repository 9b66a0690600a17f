package explore

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// What a sidecar did and saw decides what it does next. When nothing of it waits and no
// renewal of it runs, less does: what it holds. So its log begins anew with that, and
// schedules with different histories reach the same state. Of a time, what matters is
// in which of a few phases it is; of a number, which others it is above.

// resetLogs restarts the log of each idle sidecar with what the sidecar holds.
func (w *world) resetLogs() {
	for _, s := range w.sidecars {
		if !s.runs() || s.reporting.Load() > 0 {
			continue
		}
		d := dumper{w: w, now: time.Now(), skew: s.skew}
		credentials := reflect.ValueOf(s.life.group).Elem().FieldByName("credentials")
		for _, key := range credentials.MapKeys() {
			d.value(credentials.MapIndex(key).Elem())
		}
		if d.busy {
			continue
		}
		s.log = sum(0, d.out.String())
		s.resetAt = time.Now()
	}
}

// dumper writes what a credential holds.
type dumper struct {
	w    *world
	now  time.Time
	skew time.Duration
	out  strings.Builder
	busy bool
}

// apart are the types that say nothing of what happens next, or that never change.
var apart = []string{"keeper.settings", "sync.Mutex", "time.Timer", "keeper.Counts", "memcache.Day", "keeper.history"}

// unsaid are the fields that say nothing either. casID is one of a process of memcached.
var unsaid = []string{"unknownFields", "verbatim", "warned", "onRead", "answered", "casID"}

// plans are the fields to write of each type, since reflect takes long to find them.
var plans sync.Map

type field struct {
	index int
	name  string
}

func planOf(t reflect.Type) (fields []field) {
	if known, ok := plans.Load(t); ok {
		return known.([]field)
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if !slices.Contains(unsaid, f.Name) && !slices.Contains(apart, f.Type.String()) {
			fields = append(fields, field{i, f.Name + "="})
		}
	}
	plans.Store(t, fields)
	return fields
}

func (d *dumper) value(v reflect.Value) {
	switch v.Kind() { //nolint:exhaustive // the others are printed
	case reflect.Pointer:
		switch {
		case v.IsNil():
			d.out.WriteString("nil,")
		case v.Type().String() == "*keeper.run":
			d.busy = true
		case strings.HasPrefix(v.Type().String(), "*memcache.Record"), strings.HasPrefix(v.Type().String(), "*memcache.Cooldown"):
			d.value(v.Elem())
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			d.time(*(*time.Time)(unsafe.Pointer(v.UnsafeAddr()))) // a field that is not exported
			return
		}
		for _, f := range planOf(v.Type()) {
			d.out.WriteString(f.name)
			d.value(v.Field(f.index))
		}
	case reflect.Slice:
		for i := range v.Len() {
			d.value(v.Index(i))
		}
	case reflect.String:
		d.out.WriteString(d.w.names.plain(nil, v.String()) + ",")
	case reflect.Int64:
		d.number(v.Int(), v.Type() == reflect.TypeFor[time.Duration]())
	case reflect.Bool:
		d.out.WriteString(strconv.FormatBool(v.Bool()) + ",")
	case reflect.Func, reflect.Chan, reflect.Map, reflect.UnsafePointer:
	default:
		_, _ = fmt.Fprint(&d.out, v, ",")
	}
}

func (d *dumper) time(t time.Time) {
	if t.IsZero() {
		d.out.WriteString("never,")
		return
	}
	d.out.WriteString(phase(d.now.Sub(t)))
}

// number writes a number: a duration, a Unix time, or the number of a record.
func (d *dumper) number(n int64, duration bool) {
	wall := d.now.Add(d.skew)
	switch {
	case duration:
		d.out.WriteString(phase(time.Duration(n)))
	case n > 1e11:
		d.out.WriteString(d.w.rank(n) + ",")
	case n > 1e8:
		d.out.WriteString(phase(wall.Sub(time.Unix(n, 0))))
	default:
		_, _ = fmt.Fprint(&d.out, n, ",")
	}
}

// rank returns the place of a record's number among all that were seen in this run. The
// later ones are above the earlier ones, so only the newest matter.
func (w *world) rank(n int64) string {
	i, found := slices.BinarySearch(w.numbers, n)
	if !found {
		w.numbers = slices.Insert(w.numbers, i, n)
	}
	return "#" + strconv.Itoa(len(w.numbers)-i)
}

// phase returns which phase a duration is in.
func phase(d time.Duration) string {
	sign := ""
	if d < 0 {
		d, sign = -d, "-"
	}
	step := 10 * time.Minute
	switch {
	case d < 20*time.Second:
		step = 5 * time.Second
	case d < 100*time.Second:
		step = 15 * time.Second
	case d < 10*time.Minute:
		step = time.Minute
	case d > 50*time.Minute && d < 60*time.Minute:
		step = time.Minute
	}
	return sign + strconv.FormatInt(int64(d/step), 10) + "x" + strconv.FormatInt(int64(step/time.Second), 10) + ","
}
