// SPDX-License-Identifier: Apache-2.0

package topic_test

import (
	"fmt"
	"testing"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/topic"
)

var (
	real1 = iot.DeviceID{Product: "a1LabPk00001", Name: "lab_dev_01"}
	hot   = []struct{ name, topic string }{
		{"Post", topic.Sys(real1, "thing/event/property/post")},
		{"RRPC", topic.Sys(real1, "rrpc/response/1234567890123456789")},
		{"Custom", topic.Custom(real1, "user/update")},
		{"Login", topic.Ext("session/combine/login", real1)},
	}
)

// Parse and Publish together are what every message pays. Bar: 120 ns, nothing
// allocated.
func BenchmarkParsePublish(b *testing.B) {
	acl := newACL(b)
	for _, h := range hot {
		b.Run(h.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				t, err := topic.Parse(h.topic)
				if err != nil {
					b.Fatal(err)
				}
				if err := acl.Publish(real1, t); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSubscribe(b *testing.B) {
	acl := newACL(b)
	filter := topic.Sys(real1, "thing/event/+/post_reply")
	b.ReportAllocs()
	for b.Loop() {
		if err := acl.Subscribe(real1, filter); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	filter, name := topic.Sys(real1, "thing/event/+/post_reply"), topic.Sys(real1, "thing/event/property/post_reply")
	b.ReportAllocs()
	for b.Loop() {
		if !topic.Match(filter, name) {
			b.Fatal("no match")
		}
	}
}

func BenchmarkTrieMatch(b *testing.B) {
	var trie topic.Trie[int]
	for i := range 32 {
		trie.Add(topic.Sys(real1, fmt.Sprintf("thing/service/s%d", i)), i)
	}
	trie.Add(topic.Sys(real1, "thing/event/+/post_reply"), 32)
	name := topic.Sys(real1, "thing/event/property/post_reply")
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		trie.Match(name, func(int) { n++ })
		if n != 1 {
			b.Fatal("no match")
		}
	}
}

func BenchmarkAppendSys(b *testing.B) {
	var buf [128]byte
	b.ReportAllocs()
	for b.Loop() {
		_ = topic.AppendSys(buf[:0], real1, "thing/event/property/post_reply")
	}
}

// Nothing that allows may allocate.
func TestAllocs(t *testing.T) {
	acl := newACL(t, topic.Class{Suffix: "user/${deviceName}/+", Operation: topic.All})
	names := []string{
		topic.Sys(real1, "rrpc/response/1"), topic.OTA("inform", real1), topic.Shadow("update", real1),
		topic.Ext("ntp/request", real1), "/ext/network/probe/1", topic.RRPC("1", topic.Custom(real1, "x")),
		topic.Custom(real1, "user/lab_dev_01/x"),
	}
	filters := []string{topic.Sys(real1, "#"), topic.Ext("error", real1), topic.Custom(real1, "user/+"), "/ext/rrpc/+/#"}
	got := testing.AllocsPerRun(100, func() {
		for _, name := range names {
			tp, err := topic.Parse(name)
			if err != nil || acl.Publish(real1, tp) != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, f := range filters {
			if acl.Subscribe(real1, f) != nil || !topic.Match(f, f) {
				t.Errorf("%s: refused", f)
			}
		}
	})
	if got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
}
