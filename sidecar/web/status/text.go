package status

import (
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Units are the names of days, hours, minutes and seconds in one language.
type Units [4]string

// EnglishUnits are those of Span.
var EnglishUnits = Units{"d", "h", "min", "s"}

// Span returns a duration in at most two units: "42 s", "54 min", "1 h 12 min",
// "2 d 3 h". It ignores the sign, rounds to the second, and cuts off smaller units.
func Span(d time.Duration) string { return EnglishUnits.Span(d) }

// Span is the function Span in these units.
func (u Units) Span(d time.Duration) string {
	d = d.Abs().Round(time.Second)
	sizes := [...]time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second}
	for i, size := range sizes[:3] {
		if d < size {
			continue
		}
		text := strconv.Itoa(int(d/size)) + " " + u[i]
		// With minutes, the seconds do not matter.
		if rest := d % size / sizes[i+1]; rest > 0 && i < 2 {
			text += " " + strconv.Itoa(int(rest)) + " " + u[i+1]
		}
		return text
	}
	return strconv.Itoa(int(d/time.Second)) + " " + u[3]
}

// Printable returns s with a replacement character for each control and formatting
// character. Some texts come from memcached, which others can write, and must not
// forge what people read.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
