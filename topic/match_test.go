// SPDX-License-Identifier: Apache-2.0

package topic_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/openalink/iot/topic"
	"pgregory.net/rapid"
)

func TestMatch(t *testing.T) {
	tests := []struct {
		filter, name string
		want         bool
	}{
		// The examples of MQTT 3.1.1 section 4.7.
		{"sport/tennis/player1/#", "sport/tennis/player1", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
		{"sport/#", "sport", true},
		{"#", "a", true},
		{"#", "/", true},
		{"sport/tennis/+", "sport/tennis/player1", true},
		{"sport/tennis/+", "sport/tennis/player1/ranking", false},
		{"sport/+", "sport", false},
		{"sport/+", "sport/", true},
		{"+/+", "/finance", true},
		{"/+", "/finance", true},
		{"+", "/finance", false},
		{"#", "$SYS/x", false},
		{"+/monitor/Clients", "$SYS/monitor/Clients", false},
		{"$SYS/#", "$SYS/x", true},
		{"$SYS/#", "$SYS", true},
		{"$SYS/monitor/+", "$SYS/monitor/Clients", true},
		{"ACCOUNTS", "Accounts", false},
		{"/finance", "finance", false},

		{"/sys/pk/dn/thing/event/+/post_reply", "/sys/pk/dn/thing/event/property/post_reply", true},
		{"/sys/pk/dn/thing/#", "/sys/pk/dn/thing", true},
		{"/sys/pk/dn/thing/#", "/sys/pk/dnx/thing", false},
		{"a/+/#", "a", false},
		{"a/+/#", "a/b", true},
		{"a/+/#", "a/", true},
		{"a//b", "a//b", true},
		{"a/+/b", "a//b", true},
		{"a", "a/", false},
		{"a/", "a", false},
		{"", "a", false},
		{"a", "", false},
		{"", "", false},

		// Illegal filters.
		{"a+", "ab", false},
		{"a#", "ab", false},
		{"#/a", "b/a", false},
	}
	for _, tt := range tests {
		t.Run(tt.filter+" "+tt.name, func(t *testing.T) {
			if got := topic.Match(tt.filter, tt.name); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if topic.CheckFilter(tt.filter) != nil || tt.name == "" {
				return
			}
			var trie topic.Trie[int]
			trie.Add(tt.filter, 1)
			got := false
			trie.Match(tt.name, func(int) { got = true })
			if got != tt.want {
				t.Errorf("trie: got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestCheckFilter(t *testing.T) {
	for _, filter := range []string{"#", "+", "/", "a", "+/+", "/+/#", "a/+/b/#", "$SYS/#", strings.Repeat("x", topic.MaxBytes)} {
		if err := topic.CheckFilter(filter); err != nil {
			t.Errorf("%.64q: %v", filter, err)
		}
	}
	for _, filter := range []string{"", "a#", "#a", "#/", "#/a", "a/#/b", "++", "a+", "+a/b", "a/b+", "a\x00", "\xff", strings.Repeat("x", topic.MaxBytes+1)} {
		if err := topic.CheckFilter(filter); !errors.Is(err, topic.ErrBadTopic) {
			t.Errorf("%.64q: got %v, want ErrBadTopic", filter, err)
		}
	}
}

// naiveMatch follows the text of MQTT 3.1.1 section 4.7 level by level.
func naiveMatch(filter, name string) bool {
	if filter == "" || name == "" {
		return false
	}
	f, n := strings.Split(filter, "/"), strings.Split(name, "/")
	if strings.HasPrefix(name, "$") && (f[0] == "+" || f[0] == "#") {
		return false
	}
	for i, level := range f {
		if level == "#" && i == len(f)-1 {
			return len(n) >= i
		}
		if i >= len(n) || level != "+" && level != n[i] {
			return false
		}
	}
	return len(f) == len(n)
}

var (
	filters = rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "", "+", "#", "$x"}), 1, 4).Draw(t, "levels"), "/")
	}).Filter(func(s string) bool { return topic.CheckFilter(s) == nil })
	names = rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "", "$x"}), 1, 4).Draw(t, "levels"), "/")
	}).Filter(func(s string) bool { return s != "" })
)

func TestMatchNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		filter, name := filters.Draw(t, "filter"), names.Draw(t, "name")
		if got, want := topic.Match(filter, name), naiveMatch(filter, name); got != want {
			t.Errorf("Match(%q, %q) = %v, want %v", filter, name, got, want)
		}
	})
}
