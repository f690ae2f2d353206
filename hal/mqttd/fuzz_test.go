// SPDX-License-Identifier: Apache-2.0

package mqttd_test

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hal/mem"
	"github.com/openalink/iot/hal/mqttd"
	"github.com/openalink/iot/internal/mqttwire"
)

// FuzzServer sends any bytes behind a CONNECT, in two segments. The connection
// must end, the session with it, and nothing may panic or be left undone.
func FuzzServer(f *testing.F) {
	var all []byte
	all = mqttwire.AppendPublish(all, &mqttwire.Publish{Topic: "/a", Payload: []byte("x"), QoS: 1, PacketID: 1})
	all = mqttwire.AppendSubscribe(all, 2, mqttwire.Filter{Topic: "/a/#", QoS: 2})
	all = mqttwire.AppendUnsubscribe(all, 3, "/a/#")
	all = mqttwire.AppendPuback(all, 9)
	all = mqttwire.AppendPingreq(all)
	f.Add(all, 7)
	f.Add(mqttwire.AppendDisconnect(all), 30)
	f.Add([]byte{0x30, 0xff, 0xff, 0xff, 0x7f}, 2)
	f.Add(connectPacket(), 1)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		cut = min(max(cut, 0), len(b))
		synctest.Test(t, func(t *testing.T) { feedServer(t, b[:cut], b[cut:]) })
	})
}

func feedServer(t *testing.T, segments ...[]byte) {
	t.Helper()
	log := new(syncBuffer)
	var session *haltest.FakeSession
	a := &haltest.FakeAccess{Decide: func(ctx context.Context, s *haltest.FakeSession) (hal.Accepted, error) {
		s.OnReceive = func(_ context.Context, m iot.Message, done func([]iot.Message, error)) {
			done([]iot.Message{{Topic: m.Topic + "_reply", Payload: m.Payload}}, nil)
		}
		s.Request.Link.Send(ctx, hal.Delivery{Message: iot.Message{Topic: "/d", QoS: 1}, PacketID: 9}, nil)
		session = s
		return hal.Accepted{Session: s}, nil
	}}
	srv, err := mqttd.New(mqttd.Config{Access: a, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := mem.Pipe(4 << 20)
	srv.ServeConn(theirs)
	_, _ = ours.Write(connectPacket())
	for _, b := range segments {
		_, _ = ours.Write(b)
		synctest.Wait()
	}
	_ = ours.SetReadDeadline(time.Now().Add(time.Millisecond))
	got, _ := io.ReadAll(ours)
	_ = ours.Close()
	session.Closed(t)
	_ = srv.Close()
	wellFormed(t, got)
	if strings.Contains(log.String(), "panic") {
		t.Fatal(log.String())
	}
}

// wellFormed checks what the server said.
func wellFormed(t *testing.T, b []byte) {
	t.Helper()
	for len(b) > 0 {
		p, n, err := mqttwire.Split(b, mqttwire.MaxRemaining)
		if err != nil || n == 0 || n > len(b) {
			t.Fatalf("server sent % x: %v", b, err)
		}
		if p.Type() == mqttwire.TypePublish {
			if _, err := mqttwire.ParsePublish(p); err != nil {
				t.Fatalf("server sent % x: %v", b[:n], err)
			}
		}
		b = b[n:]
	}
}
