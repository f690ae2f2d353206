// SPDX-License-Identifier: Apache-2.0

package sinktest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	iot "github.com/openalink/iot"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/rules/sql"
)

// Target is a sink under test and what arrived where it leads.
type Target struct {
	Sink rules.Sink
	// Arrived lists the member "n" of each row that arrived, a number, oldest first.
	// Rows that arrived twice under one key may be listed once or twice.
	Arrived func(t *testing.T) []int
}

// Row makes a delivery of a device with the row {"n":n,"text":"..."}.
func Row(device string, n int) *rules.Delivery {
	return &rules.Delivery{
		Key: fmt.Sprintf("rule/0/%d", n), Rule: "rule", Action: "1",
		Message: sql.Message{
			ID: int64(n), Topic: "/a1Lamps0001/" + device + "/user/update", QoS: iot.AtLeastOnce,
			Device: iot.DeviceID{Product: "a1Lamps0001", Name: device}, Time: time.UnixMilli(1772368205250 + int64(n)),
			Payload: fmt.Appendf(nil, `{"n":%d,"x":1}`, n),
		},
		Payload: fmt.Appendf(nil, `{"n":%d,"text":"it's \"%d\", ü\\n","none":null}`, n, n),
	}
}

// TestSink opens targets and checks what every sink must do: take rows in order,
// several at once and from several lanes, the same one twice, and return when the
// context ends.
func TestSink(t *testing.T, open func(t *testing.T) Target) {
	t.Run("Order", func(t *testing.T) { testOrder(t, open(t)) })
	t.Run("Lanes", func(t *testing.T) { testLanes(t, open(t)) })
	t.Run("Twice", func(t *testing.T) { testTwice(t, open(t)) })
	t.Run("Cancelled", func(t *testing.T) { testCancelled(t, open(t)) })
}

func send(t *testing.T, s rules.Sink, rows ...*rules.Delivery) {
	t.Helper()
	if err := s.Send(t.Context(), rows); err != nil {
		t.Fatalf("send: %v", err)
	}
}

func testOrder(t *testing.T, target Target) {
	send(t, target.Sink, Row("d", 1))
	send(t, target.Sink, Row("d", 2), Row("d", 3), Row("e", 4))
	send(t, target.Sink, Row("d", 5))
	if diff := cmp.Diff([]int{1, 2, 3, 4, 5}, target.Arrived(t)); diff != "" {
		t.Error(diff)
	}
}

func testLanes(t *testing.T, target Target) {
	var wait sync.WaitGroup
	for lane := range 4 {
		wait.Go(func() {
			for i := range 10 {
				if err := target.Sink.Send(t.Context(), []*rules.Delivery{Row(fmt.Sprint("d", lane), 100*lane+i)}); err != nil {
					t.Errorf("send: %v", err)
				}
			}
		})
	}
	wait.Wait()
	got := target.Arrived(t)
	last := map[int]int{}
	for _, n := range got {
		if n < last[n/100] {
			t.Errorf("%d came behind %d", n, last[n/100])
		}
		last[n/100] = n
	}
	if len(got) != 40 {
		t.Errorf("%d rows arrived: %v", len(got), got)
	}
}

func testTwice(t *testing.T, target Target) {
	send(t, target.Sink, Row("d", 1))
	send(t, target.Sink, Row("d", 1), Row("d", 2))
	got := slices.Compact(target.Arrived(t))
	if diff := cmp.Diff([]int{1, 2}, got); diff != "" {
		t.Error(diff)
	}
}

func testCancelled(t *testing.T, target Target) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	done := make(chan error, 1)
	go func() { done <- target.Sink.Send(ctx, []*rules.Delivery{Row("d", 1)}) }()
	select {
	case err := <-done:
		if err == nil && !slices.Contains(target.Arrived(t), 1) {
			t.Error("no error, and nothing arrived")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Send did not return")
	}
}
