package web

import (
	"strconv"
	"time"
)

// Span is a duration as people say it, in at most two units: "42 s", "54 min",
// "1 h 12 min", "2 d 3 h". It is rounded to the
// second; what is smaller than the units is cut off, and so is a sign.
func Span(d time.Duration) string { return span(d, english.units, " ") }

// span is a duration in these units: days, hours, minutes, seconds.
func span(d time.Duration, units [4]string, space string) string {
	d = d.Abs().Round(time.Second)
	sizes := [...]time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second}
	for i, size := range sizes[:3] {
		if d < size {
			continue
		}
		text := strconv.Itoa(int(d/size)) + " " + units[i]
		// Of minutes nobody wants to know the seconds.
		if rest := d % size / sizes[i+1]; rest > 0 && i < 2 {
			text += space + strconv.Itoa(int(rest)) + " " + units[i+1]
		}
		return text
	}
	return strconv.Itoa(int(d/time.Second)) + " " + units[3]
}
