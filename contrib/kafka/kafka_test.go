// SPDX-License-Identifier: Apache-2.0

package kafka_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/openalink/iot/contrib/kafka"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/rules/sinktest"
)

// cluster runs a broker in this process.
func cluster(t testing.TB, partitions int32) []string {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, "rows"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c.ListenAddrs()
}

func open(t testing.TB, brokers []string, opts ...kgo.Opt) *kafka.Sink {
	t.Helper()
	s, err := kafka.Open(kafka.Options{Brokers: brokers, Topic: "rows", Client: opts})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// records reads what is in the topic.
func records(t testing.TB, brokers []string) (list []*kgo.Record) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics("rows"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for {
		pause := 500 * time.Millisecond
		if len(list) == 0 {
			pause = 3 * time.Second // the consumer is only starting
		}
		ctx, cancel := context.WithTimeout(t.Context(), pause)
		got := c.PollFetches(ctx).Records()
		cancel()
		if len(got) == 0 {
			return list
		}
		list = append(list, got...)
	}
}

func TestSink(t *testing.T) {
	sinktest.TestSink(t, func(t *testing.T) sinktest.Target {
		brokers := cluster(t, 1)
		return sinktest.Target{Sink: open(t, brokers), Arrived: func(t *testing.T) (list []int) {
			for _, r := range records(t, brokers) {
				list = append(list, int(gjson.GetBytes(r.Value, "n").Int()))
			}
			return list
		}}
	})
}

// A device keeps to one partition, and a record says where it is from.
func TestRecords(t *testing.T) {
	brokers := cluster(t, 8)
	s := open(t, brokers)
	var batch []*rules.Delivery
	for n := range 64 {
		batch = append(batch, sinktest.Row(fmt.Sprint("d", n%4), n))
	}
	if err := s.Send(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	partition := map[string]int32{}
	last := map[string]int64{}
	got := records(t, brokers)
	for _, r := range got {
		key := string(r.Key)
		if p, ok := partition[key]; ok && p != r.Partition {
			t.Errorf("%s in partitions %d and %d", key, p, r.Partition)
		}
		n := gjson.GetBytes(r.Value, "n").Int()
		if before, ok := last[key]; ok && n < before {
			t.Errorf("%s: %d behind %d", key, n, before)
		}
		partition[key], last[key] = r.Partition, n
		want := map[string]string{"idempotencyKey": fmt.Sprint("rule/0/", n), "messageId": fmt.Sprint(n), "topic": "/" + key + "/user/update"}
		for _, h := range r.Headers {
			if want[h.Key] != string(h.Value) {
				t.Errorf("header %s: %s", h.Key, h.Value)
			}
		}
	}
	if len(got) != 64 || len(partition) != 4 {
		t.Errorf("%d records of %d devices", len(got), len(partition))
	}
}

func TestFailures(t *testing.T) {
	s := open(t, []string{"127.0.0.1:1"})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := s.Send(ctx, []*rules.Delivery{sinktest.Row("d", 1)}); err == nil || rules.IsPermanent(err) {
		t.Errorf("nobody listens: %v", err)
	}
	s = open(t, cluster(t, 1), kgo.ProducerBatchMaxBytes(1024))
	big := sinktest.Row("d", 1)
	big.Payload = []byte(strings.Repeat("x", 4096))
	if err := s.Send(t.Context(), []*rules.Delivery{big}); !rules.IsPermanent(err) {
		t.Errorf("too large: %v", err)
	}
	for _, o := range []kafka.Options{{}, {Brokers: []string{"127.0.0.1:1"}}} {
		if _, err := kafka.Open(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}

func Example() {
	s, err := kafka.Open(kafka.Options{Brokers: []string{"127.0.0.1:9092"}, Topic: "heat"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	rule := rules.Rule{
		ID: "heat", SQL: `SELECT * FROM "/a1Lamps0001/+/user/update" WHERE t > 38`, Mode: rules.AtLeastOnce,
		Actions: []rules.Action{{Sink: s, Batch: 500}},
	}
	fmt.Println(rule.ID)
	// Output: heat
}
