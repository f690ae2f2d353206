// SPDX-License-Identifier: Apache-2.0

package scene

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// Cron is a timetable of minutes. It never changes.
type Cron struct {
	minute, hour, day, month, weekday uint64 // a bit for each value
	anyDay                            bool   // day and weekday must both match: one of them is *
	zone                              *time.Location
	text                              string
}

// field is what one of the five may hold.
type field struct {
	name     string
	min, max int
	names    string // of the values from min on, three letters each
}

// The fields in order. Sunday is 0 or 7.
var fields = [5]field{
	{"minute", 0, 59, ""},
	{"hour", 0, 23, ""},
	{"day", 1, 31, ""},
	{"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
	{"weekday", 0, 7, "sunmontuewedthufrisat"},
}

// ParseCron reads five fields: minute, hour, day of the month, month, weekday. Each
// is *, a value, a range a-b or a list of them, and the first two may be followed
// by a step /n. Months and weekdays may be written as three letters. zone nil is
// UTC. The error wraps ErrInvalid; a timetable that no day meets is one too.
func ParseCron(text string, zone *time.Location) (*Cron, error) {
	parts := strings.Fields(text)
	if len(parts) != len(fields) {
		return nil, fmt.Errorf("%w: timetable %.64q: five fields: minute, hour, day, month, weekday", ErrInvalid, text)
	}
	var sets [5]uint64
	for i, f := range fields {
		var err error
		if sets[i], err = f.parse(parts[i]); err != nil {
			return nil, fmt.Errorf("%w: timetable %.64q: %w", ErrInvalid, text, err)
		}
	}
	if zone == nil {
		zone = time.UTC
	}
	c := &Cron{
		minute: sets[0], hour: sets[1], day: sets[2], month: sets[3], weekday: sets[4]&^(1<<7) | sets[4]>>7&1,
		anyDay: parts[2][0] == '*' || parts[4][0] == '*', zone: zone, text: strings.Join(parts, " "),
	}
	if c.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, fmt.Errorf("%w: timetable %.64q: no day meets it", ErrInvalid, text)
	}
	return c, nil
}

// String returns the text of the timetable.
func (c *Cron) String() string { return c.text }

func (f *field) parse(text string) (set uint64, err error) {
	for part := range strings.SplitSeq(text, ",") {
		s, err := f.part(part)
		if err != nil {
			return 0, err
		}
		set |= s
	}
	return set, nil
}

func (f *field) part(text string) (set uint64, err error) {
	span, stepText, stepped := strings.Cut(text, "/")
	step := 1
	if stepped {
		if step, err = strconv.Atoi(stepText); err != nil || step < 1 || step > f.max {
			return 0, fmt.Errorf("%s %.32q: a step from 1 to %d", f.name, text, f.max)
		}
	}
	from, to := f.min, f.max
	low, high, ranged := strings.Cut(span, "-")
	switch {
	case span == "*":
	case stepped && !ranged:
		return 0, fmt.Errorf("%s %.32q: a step follows * or a range", f.name, text)
	default:
		if !ranged {
			high = low
		}
		if from, err = f.value(low); err != nil {
			return 0, err
		}
		if to, err = f.value(high); err != nil {
			return 0, err
		}
	}
	if from > to {
		return 0, fmt.Errorf("%s %.32q: the range is empty", f.name, text)
	}
	for v := from; v <= to; v += step {
		set |= 1 << v
	}
	return set, nil
}

func (f *field) value(text string) (int, error) {
	if len(text) == 3 && f.names != "" {
		if i := strings.Index(f.names, strings.ToLower(text)); i >= 0 && i%3 == 0 {
			return f.min + i/3, nil
		}
	}
	v, err := strconv.Atoi(text)
	if err != nil || len(text) > 2 || text[0] == '+' || text[0] == '-' || v < f.min || v > f.max {
		return 0, fmt.Errorf("%s %.32q: %d to %d", f.name, text, f.min, f.max)
	}
	return v, nil
}

// Matches reports whether the minute of t is one of the timetable.
func (c *Cron) Matches(t time.Time) bool {
	t = t.In(c.zone)
	return c.onDay(t) && c.hour>>t.Hour()&1 == 1 && c.minute>>t.Minute()&1 == 1
}

// onDay judges the date of a time in the zone.
func (c *Cron) onDay(t time.Time) bool {
	if c.month>>int(t.Month())&1 == 0 {
		return false
	}
	day, weekday := c.day>>t.Day()&1 == 1, c.weekday>>int(t.Weekday())&1 == 1
	if c.anyDay {
		return day && weekday
	}
	return day || weekday
}

// horizon is how far Next looks: 29 February may be eight years away, and on one
// weekday 40.
const horizon = 41 * 366 * 24 * time.Hour

// Next returns the first minute of the timetable after t, zero when there is none
// within 40 years.
func (c *Cron) Next(t time.Time) time.Time {
	at := t.In(c.zone).Truncate(time.Minute).Add(time.Minute)
	for end := t.Add(horizon); at.Before(end); {
		switch {
		case !c.onDay(at):
			at = nextDay(at)
		case c.hour>>at.Hour()&1 == 0:
			at = at.Add(skip(at, 60-at.Minute()))
		default:
			if rest := c.minute >> at.Minute(); rest&1 == 1 {
				return at
			} else if rest != 0 {
				at = at.Add(skip(at, bits.TrailingZeros64(rest)))
				continue
			}
			at = at.Add(skip(at, 60-at.Minute()))
		}
	}
	return time.Time{}
}

// skip is n minutes, or one where the clocks change meanwhile.
func skip(t time.Time, n int) time.Duration {
	d := time.Duration(n) * time.Minute
	_, before := t.Zone()
	if _, after := t.Add(d).Zone(); before != after {
		return time.Minute
	}
	return d
}

// nextDay is the beginning of the day after t, or at least a while later where the
// clocks change at midnight.
func nextDay(t time.Time) time.Time {
	y, m, d := t.Date()
	next := time.Date(y, m, d+1, 0, 0, 0, 0, t.Location())
	_, before := t.Zone()
	if _, after := next.Zone(); before != after || !next.After(t) {
		return t.Add(skip(t, 60-t.Minute()))
	}
	return next
}

// every returns the first multiple of d after t, counted from 1970.
func every(t time.Time, d time.Duration) time.Time {
	return time.Unix(0, (t.UnixNano()/int64(d)+1)*int64(d)).UTC()
}
