// SPDX-License-Identifier: Apache-2.0

package scene_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openalink/iot/rules/scene"
	"pgregory.net/rapid"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func TestCronNext(t *testing.T) {
	for _, c := range []struct{ cron, zone, from, want string }{
		{"* * * * *", "UTC", "2026-03-01T10:20:30Z", "2026-03-01T10:21:00Z 2026-03-01T10:22:00Z"},
		{"*/30 22-23 * * *", "UTC", "2026-03-01T22:00:00Z", "2026-03-01T22:30:00Z 2026-03-01T23:00:00Z 2026-03-01T23:30:00Z 2026-03-02T22:00:00Z"},
		{"0 7 * * 1-5", "Asia/Shanghai", "2026-03-06T08:00:00+08:00", "2026-03-09T07:00:00+08:00"},
		{"0 7 * * mon,Wed", "UTC", "2026-03-09T07:00:00Z", "2026-03-11T07:00:00Z 2026-03-16T07:00:00Z"},
		{"0 0 * * 7", "UTC", "2026-03-02T00:00:00Z", "2026-03-08T00:00:00Z"},
		{"5,10 0 1 jan *", "UTC", "2026-03-02T00:00:00Z", "2027-01-01T00:05:00Z 2027-01-01T00:10:00Z 2028-01-01T00:05:00Z"},
		{"0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"},
		{"0 0 13 * 5", "UTC", "2026-03-01T00:00:00Z", "2026-03-06T00:00:00Z 2026-03-13T00:00:00Z 2026-03-20T00:00:00Z 2026-03-27T00:00:00Z 2026-04-03T00:00:00Z 2026-04-10T00:00:00Z 2026-04-13T00:00:00Z"},
		{"0 0 */2 * 1", "UTC", "2026-03-01T00:00:00Z", "2026-03-09T00:00:00Z 2026-03-23T00:00:00Z"}, // a star: both count
		// 02:30 is left out on 29 March 2026, and comes twice on 25 October.
		{"30 2 * * *", "Europe/Berlin", "2026-03-28T02:30:00+01:00", "2026-03-30T02:30:00+02:00"},
		{"30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00+02:00", "2026-10-25T02:30:00+02:00 2026-10-25T02:30:00+01:00 2026-10-26T02:30:00+01:00"},
		// Midnight is left out where clocks change then.
		{"0 * * * *", "America/Sao_Paulo", "2018-11-03T22:30:00-03:00", "2018-11-03T23:00:00-03:00 2018-11-04T01:00:00-02:00"},
	} {
		t.Run(c.cron+" "+c.zone, func(t *testing.T) {
			cron, err := scene.ParseCron(c.cron, zone(t, c.zone))
			if err != nil {
				t.Fatal(err)
			}
			at, err := time.Parse(time.RFC3339, c.from)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for range strings.Fields(c.want) {
				at = cron.Next(at)
				got = append(got, at.Format(time.RFC3339))
			}
			if g := strings.Join(got, " "); g != c.want {
				t.Errorf("got  %s\nwant %s", g, c.want)
			}
		})
	}
}

func TestCronRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":              "five fields",
		"* * * *":       "five fields",
		"* * * * * *":   "five fields",
		"60 * * * *":    "minute",
		"-1 * * * *":    "minute",
		"+1 * * * *":    "minute",
		"001 * * * *":   "minute",
		"*/0 * * * *":   "step",
		"*/61 * * * *":  "step",
		"5/10 * * * *":  "a step follows",
		"* 24 * * *":    "hour",
		"* 5-3 * * *":   "empty",
		"* * 0 * *":     "day",
		"* * 32 * *":    "day",
		"* * * 13 *":    "month",
		"* * * foo *":   "month",
		"* * * anf *":   "month", // within "janfeb"
		"* * * * 8":     "weekday",
		"* * * * mo":    "weekday",
		"1, * * * *":    "minute",
		"0 0 30 2 *":    "no day",
		"0 0 31 4,6 *":  "no day",
		"0 0 1-2-3 * *": "day",
	} {
		_, err := scene.ParseCron(text, nil)
		if !errors.Is(err, scene.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// Next is the first minute that Matches, whatever clocks do.
func TestCronAgreesWithEachMinute(t *testing.T) {
	zones := []string{"UTC", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca"}
	part := func(t *rapid.T, name string, low, high int) string {
		from := rapid.IntRange(low, high).Draw(t, name)
		switch rapid.IntRange(0, 4).Draw(t, name+" form") {
		case 0:
			return fmt.Sprint(from)
		case 1:
			return fmt.Sprintf("%d-%d", from, rapid.IntRange(from, high).Draw(t, name+" to"))
		case 2:
			return fmt.Sprintf("*/%d", rapid.IntRange(1, high).Draw(t, name+" step"))
		case 3:
			return fmt.Sprintf("%d,%d", from, rapid.IntRange(low, high).Draw(t, name+" other"))
		}
		return "*"
	}
	rapid.Check(t, func(rt *rapid.T) {
		loc := zone(t, rapid.SampledFrom(zones).Draw(rt, "zone"))
		text := strings.Join([]string{part(rt, "minute", 0, 59), part(rt, "hour", 0, 23), part(rt, "day", 1, 28), "*", part(rt, "weekday", 0, 7)}, " ")
		cron, err := scene.ParseCron(text, loc)
		if err != nil {
			rt.Fatal(err)
		}
		from := time.Date(2018, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.Int64Range(0, 366*24*3600).Draw(rt, "from")) * time.Second)
		got := cron.Next(from)
		at := from.Truncate(time.Minute).Add(time.Minute)
		end := from.Add(40 * 24 * time.Hour)
		for !cron.Matches(at) && at.Before(end) {
			at = at.Add(time.Minute)
		}
		if at.Before(end) && !got.Equal(at) || !cron.Matches(got) || !got.After(from) {
			rt.Errorf("%s in %v after %v: %v, want %v", text, loc, from, got, at)
		}
	})
}

func FuzzCron(f *testing.F) {
	for _, s := range []string{"* * * * *", "*/5 1-3,7 1 jan-mar sun", "0 0 29 2 *", "0 0 31 2 *", "a b c d e", "1-/2 * * * *"} {
		f.Add(s, int64(1_790_000_000))
	}
	f.Fuzz(func(t *testing.T, text string, sec int64) {
		cron, err := scene.ParseCron(text, nil)
		if err != nil {
			return
		}
		again, err := scene.ParseCron(cron.String(), nil)
		if err != nil {
			t.Fatalf("%q reads as %q: %v", text, cron, err)
		}
		from := time.Unix(sec%(1<<33), 0)
		next := cron.Next(from)
		if !next.After(from) || !cron.Matches(next) || !again.Next(from).Equal(next) {
			t.Errorf("%q after %v: %v", text, from, next)
		}
	})
}
