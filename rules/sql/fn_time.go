// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"strconv"
	"strings"
	"time"
)

// timeFunctions tell when the message arrived, so that a message that is looked at
// again gives the same row.
func timeFunctions(o Options) []Function {
	local := o.Location
	if local == nil {
		local = time.UTC
	}
	return []Function{
		timeFunction("timestamp", "When the message arrived: milliseconds of Unix time, or in a format such as 'yyyy-MM-dd HH:mm:ss.SSS', in the zone of Options.", local),
		timeFunction("timestamp_utc", "The same in UTC.", time.UTC),
	}
}

func timeFunction(name, summary string, zone *time.Location) Function {
	return Function{
		Name: name, Usage: name + "([format])", Summary: summary, MaxArgs: 1, Args: []Kinds{Texts}, Result: Texts | 1<<Number,
		Call: func(m *Message, args []Value) Value {
			if len(args) == 0 {
				return numberValue(float64(m.Time.UnixMilli()))
			}
			s, message := formatTime(args[0].Text(), m.Time.In(zone))
			if message != "" {
				return Value{}
			}
			return textValue(s)
		},
		check: func(_ int, v Value) string {
			_, message := formatTime(v.Text(), time.Time{})
			return message
		},
	}
}

// formatTime writes t in the pattern language of Java's SimpleDateFormat, the part
// of it that rules use: y M d H h m s S a E Z z X, and text in quotes. message says
// what is wrong with the pattern.
func formatTime(pattern string, t time.Time) (s, message string) {
	// Statements written for a shell carry their quotes escaped.
	pattern = strings.ReplaceAll(pattern, `\'`, `'`)
	var b strings.Builder
	for i := 0; i < len(pattern); {
		c := pattern[i]
		if c == '\'' {
			end := strings.IndexByte(pattern[i+1:], '\'')
			if end < 0 {
				return "", "a quote in the format is not closed"
			}
			if end == 0 {
				b.WriteByte('\'')
			}
			b.WriteString(pattern[i+1 : i+1+end])
			i += end + 2
			continue
		}
		n := 1
		for i+n < len(pattern) && pattern[i+n] == c {
			n++
		}
		i += n
		if !isASCIILetter(c) {
			b.WriteString(strings.Repeat(string(rune(c)), n))
			continue
		}
		piece, ok := timePiece(c, n, t)
		if !ok {
			return "", "the format has no letter " + string(rune(c))
		}
		b.WriteString(piece)
	}
	return b.String(), ""
}

func isASCIILetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// timePiece writes a run of n equal letters.
func timePiece(c byte, n int, t time.Time) (string, bool) {
	layouts := map[byte][2]string{'M': {"Jan", "January"}, 'E': {"Mon", "Monday"}}
	if l, ok := layouts[c]; ok && (n > 2 || c == 'E') {
		return t.Format(l[min(n/4, 1)]), true
	}
	switch c {
	case 'y':
		if n == 2 {
			return padded(t.Year()%100, 2), true
		}
		return padded(t.Year(), n), true
	case 'M':
		return padded(int(t.Month()), n), true
	case 'd':
		return padded(t.Day(), n), true
	case 'H':
		return padded(t.Hour(), n), true
	case 'h':
		return padded((t.Hour()+11)%12+1, n), true
	case 'm':
		return padded(t.Minute(), n), true
	case 's':
		return padded(t.Second(), n), true
	case 'S':
		return padded(t.Nanosecond()/1e6, n), true
	case 'a':
		return t.Format("PM"), true
	case 'Z':
		return t.Format("-0700"), true
	case 'X':
		return t.Format([]string{"Z07", "Z0700", "Z07:00"}[min(n, 3)-1]), true
	case 'z':
		return t.Format("MST"), true
	}
	return "", false
}

func padded(n, width int) string {
	s := strconv.Itoa(n)
	if len(s) >= width || width > 16 {
		return s
	}
	return strings.Repeat("0", width-len(s)) + s
}
