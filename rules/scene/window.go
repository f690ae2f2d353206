// SPDX-License-Identifier: Apache-2.0

package scene

import (
	"fmt"
	"strings"
	"time"
)

// Window is when a scene may run, by local time.
type Window struct {
	// From and To are times such as "22:00"; To may be "24:00" and is not part of the
	// window. Without them it is the whole day. A window that ends before it begins
	// goes over midnight.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// Days are the weekdays it begins on, as "mon"; empty means each.
	Days []string `json:"days,omitempty"`
	Zone string   `json:"zone,omitempty"` // as "Europe/Berlin"; empty is Config.Location
}

// window is a Window read.
type window struct {
	from, to int // minutes
	days     uint64
	zone     *time.Location
}

func (w *Window) compile(local *time.Location) (out *window, err error) {
	out = &window{to: 24 * 60, days: 1<<7 - 1}
	if out.zone, err = location(w.Zone, local); err != nil {
		return nil, err
	}
	if (w.From == "") != (w.To == "") {
		return nil, fmt.Errorf("%w: window: from and to belong together", ErrInvalid)
	}
	if w.From != "" {
		if out.from, err = clock(w.From); err != nil {
			return nil, err
		}
		if out.to, err = clock(w.To); err != nil {
			return nil, err
		}
		if out.from == out.to || out.from == 24*60 {
			return nil, fmt.Errorf("%w: window from %s to %s is empty", ErrInvalid, w.From, w.To)
		}
	}
	if len(w.Days) > 0 {
		weekday := fields[4]
		if out.days, err = weekday.parse(strings.Join(w.Days, ",")); err != nil {
			return nil, fmt.Errorf("%w: window: %w", ErrInvalid, err)
		}
		out.days = out.days&^(1<<7) | out.days>>7&1
	}
	return out, nil
}

// holds judges a time.
func (w *window) holds(t time.Time) bool {
	t = t.In(w.zone)
	at, day := t.Hour()*60+t.Minute(), int(t.Weekday())
	today, yesterday := w.days>>day&1 == 1, w.days>>((day+6)%7)&1 == 1
	if w.from < w.to {
		return today && w.from <= at && at < w.to
	}
	return today && at >= w.from || yesterday && at < w.to
}

// clock reads "hh:mm" as minutes.
func clock(text string) (int, error) {
	t, err := time.Parse("15:04", text)
	switch {
	case text == "24:00":
		return 24 * 60, nil
	case err != nil || len(text) != 5:
		return 0, fmt.Errorf("%w: time %.32q: hours and minutes as in 06:30", ErrInvalid, text)
	}
	return t.Hour()*60 + t.Minute(), nil
}

// location finds a time zone.
func location(name string, local *time.Location) (*time.Location, error) {
	if name == "" {
		return local, nil
	}
	loc, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, fmt.Errorf("%w: zone %.64q: a name such as Europe/Berlin or UTC", ErrInvalid, name)
	}
	return loc, nil
}
