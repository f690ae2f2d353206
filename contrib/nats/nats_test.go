// SPDX-License-Identifier: Apache-2.0

package nats_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/tidwall/gjson"

	natssink "github.com/openalink/iot/contrib/nats"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/rules/sinktest"
)

// run starts a server in this process with a stream for rows.
func run(t testing.TB) (*server.Server, *nats.Conn) {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true, MaxPayload: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server is not ready")
	}
	conn, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "ROWS", Subjects: []string{"rows.>"}}); err != nil {
		t.Fatal(err)
	}
	return s, conn
}

func open(t testing.TB, conn *nats.Conn) *natssink.Sink {
	t.Helper()
	s, err := natssink.New(conn, natssink.Options{Subject: "rows"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// stored lists what is in the stream.
func stored(t testing.TB, conn *nats.Conn) (list []jetstream.Msg) {
	t.Helper()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	c, err := js.OrderedConsumer(t.Context(), "ROWS", jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.FetchNoWait(1000)
	if err != nil {
		t.Fatal(err)
	}
	for m := range got.Messages() {
		list = append(list, m)
	}
	return list
}

func TestSink(t *testing.T) {
	sinktest.TestSink(t, func(t *testing.T) sinktest.Target {
		_, conn := run(t)
		return sinktest.Target{Sink: open(t, conn), Arrived: func(t *testing.T) (list []int) {
			for _, m := range stored(t, conn) {
				list = append(list, int(gjson.GetBytes(m.Data(), "n").Int()))
			}
			return list
		}}
	})
}

// A row that comes twice is stored once, under a subject of its device.
func TestMessages(t *testing.T) {
	_, conn := run(t)
	s := open(t, conn)
	for range 2 {
		if err := s.Send(t.Context(), []*rules.Delivery{sinktest.Row("lamp.1 *", 7)}); err != nil {
			t.Fatal(err)
		}
	}
	list := stored(t, conn)
	if len(list) != 1 || list[0].Subject() != "rows.a1Lamps0001.lamp_1__" || list[0].Headers().Get("Message-Id") != "7" ||
		list[0].Headers().Get("Topic") != "/a1Lamps0001/lamp.1 */user/update" || list[0].Headers().Get("Nats-Msg-Id") != "rule/0/7" {
		t.Errorf("%d messages, %+v", len(list), list)
	}
}

func TestFailures(t *testing.T) {
	server, conn := run(t)
	s := open(t, conn)
	big := sinktest.Row("d", 1)
	big.Payload = []byte(strings.Repeat("x", 100<<10))
	if err := s.Send(t.Context(), []*rules.Delivery{big}); !rules.IsPermanent(err) {
		t.Errorf("too large: %v", err)
	}
	server.Shutdown()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := s.Send(ctx, []*rules.Delivery{sinktest.Row("d", 1)}); err == nil || rules.IsPermanent(err) {
		t.Errorf("the server is gone: %v", err)
	}
	for _, subject := range []string{"", "a.*", "a b"} {
		if _, err := natssink.New(conn, natssink.Options{Subject: subject}); err == nil {
			t.Errorf("subject %q was taken", subject)
		}
	}
}

func TestKind(t *testing.T) {
	server, conn := run(t)
	sink, err := natssink.Kind(json.RawMessage(fmt.Sprintf(`{"type":"nats","url":%q,"subject":"rows"}`, server.ClientURL())))
	if err != nil {
		t.Fatal(err)
	}
	defer sink.(*natssink.Sink).Close()
	if err := sink.Send(t.Context(), []*rules.Delivery{sinktest.Row("d", 1)}); err != nil || len(stored(t, conn)) != 1 {
		t.Error(err)
	}
}

func Example() {
	conn, err := nats.Connect("nats://127.0.0.1:1", nats.RetryOnFailedConnect(true))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	s, err := natssink.New(conn, natssink.Options{Subject: "heat"})
	if err != nil {
		fmt.Println(err)
		return
	}
	rule := rules.Rule{
		ID: "heat", SQL: `SELECT * FROM "/a1Lamps0001/+/user/update" WHERE t > 38`, Mode: rules.AtLeastOnce,
		Actions: []rules.Action{{Sink: s, Batch: 100}},
	}
	fmt.Println(rule.ID)
	// Output: heat
}
