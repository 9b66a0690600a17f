package verify

import (
	"errors"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// settle notes and logs the result of a request. The caller holds mu.
func (v *Verifier) settle(s *secret, failure error, now time.Time) {
	before := s.schedule
	s.schedule = before.after(OutcomeOf(failure), now)
	if failure == nil {
		v.verified(s, before)
		return
	}
	fields := append([]any{"appid", s.AppID, "source", s.Source, "verified", false}, fieldsOf(failure)...)
	if s.waits() {
		fields = append(fields, "next_check_seconds", int(s.due.Sub(now).Round(time.Second)/time.Second))
	}
	if s.changed {
		v.cfg.Log.Warn("AppSecret changed", fields...)
	} else {
		v.cfg.Log.Warn("AppSecret not verified", fields...)
	}
	s.changed = false
	if refused := asRefusal(failure); refused != nil {
		s.refusal = refused
	}
	// A last answer that says nothing leaves the refusal before it.
	if s.refusal != nil && (!s.waits() || !mayBeLate(s.refusal)) {
		note := hint.RefusedSecret(s.AppID, s.Source, s.refusal.Code, s.refusal.Hint)
		s.refused = &note
		v.note(s)
	}
}

// verified notes that WeChat accepts the AppSecret. The caller holds mu.
func (v *Verifier) verified(s *secret, before schedule) {
	fields := []any{"appid", s.AppID, "source", s.Source}
	switch {
	case s.changed:
		v.cfg.Log.Info("AppSecret changed", append(fields, "verified", true)...)
	case before.tries > 0 && before.waits(), s.refused != nil:
		v.cfg.Log.Info("AppSecret verified", fields...)
	case before.waits():
		v.cfg.Log.Debug("AppSecret verified", fields...)
	}
	s.changed, s.refusal, s.refused = false, nil, nil
	v.note(s)
}

// note sets the notes about an AppSecret, and logs new ones. The caller holds mu.
func (v *Verifier) note(s *secret) {
	var notes []hint.Note
	for _, note := range []*hint.Note{s.unreadable, s.refused} {
		if note != nil {
			notes = append(notes, *note)
		}
	}
	for _, n := range v.cfg.Notes.Set("AppSecret of "+s.AppID, notes...) {
		v.cfg.Log.Warn("AppSecret needs attention", "appid", s.AppID, "source", s.Source, "note", n.Text, "hint", n.Hint)
	}
}

// fieldsOf returns the fields of a failure for the log.
func fieldsOf(failure error) []any {
	var e *wechat.Error
	if !errors.As(failure, &e) {
		return []any{"error", failure.Error()}
	}
	return []any{"errcode", e.Code, "errmsg", e.Message, "hint", e.Hint}
}
