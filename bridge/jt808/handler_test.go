// SPDX-License-Identifier: Apache-2.0

package jt808_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/bridge"
	"github.com/openalink/iot/bridge/jt808"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/mem"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/internal/party"
	"github.com/openalink/iot/iottest"
)

func TestMain(m *testing.M) {
	if party.Role() != "" { // a part of TestFleet
		os.Exit(party.Play(play))
	}
	goleak.VerifyTestMain(m)
}

// serve brings a hub, a bridge and a server up; the terminals are the numbers.
func serve(t testing.TB, h *jt808.Handler, numbers ...string) (*iottest.Hub, bridge.Map, *bridge.Server) {
	t.Helper()
	p := iottest.NewHub(t)
	if _, err := p.CreateProduct(t.Context(), hub.Product{Key: "a1bridge000", Gateway: true}); err != nil {
		t.Fatal(err)
	}
	gw, err := p.RegisterDevice(t.Context(), hub.Device{ID: iot.DeviceID{Product: "a1bridge000", Name: "bridge"}})
	if err != nil {
		t.Fatal(err)
	}
	ids := bridge.Map{}
	for _, n := range numbers {
		d := p.Register()
		ids[n] = hal.Identity{Device: d.ID, DeviceSecret: d.Secret}
	}
	b, err := bridge.New(bridge.Config{
		Gateways:   []device.GatewayConfig{{Config: device.Config{Identity: hal.Identity{Device: gw.ID, DeviceSecret: gw.Secret}, Transport: mem.NewTransport(p)}}},
		Identities: ids,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := &bridge.Server{Bridge: b, Handler: h, Decoder: jt808.NewDecoder, Encoder: jt808.NewEncoder, Address: "127.0.0.1", Ports: []int{0}}
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return p, ids, s
}

func TestTerminal(t *testing.T) {
	for _, v := range []jt808.Version{jt808.V2013, jt808.V2019} {
		t.Run(fmt.Sprint(v), func(t *testing.T) {
			h := &jt808.Handler{Secret: []byte("hush"), Settings: map[string]uint32{"HeartbeatSeconds": 1, "Server": 0x13}}
			p, ids, s := serve(t, h, "13800138000")
			id := ids["13800138000"].Device
			here := jt808.Location{Latitude: -31.2, Longitude: 121.5, Speed: 60.5, Status: jt808.StatusFixed, Time: time.Now().Truncate(time.Second)}
			heard, orders := make(chan jt808.Text, 1), make(chan any, 1)
			term := &jt808.Terminal{
				Phone: "13800138000", Version: v, Register: jt808.Register{Plate: "沪A12345"},
				Text: func(x jt808.Text) { heard <- x }, Location: func() jt808.Location { return here },
				Parameters: map[uint32][]byte{1: {0, 0, 0, 30}, 0x13: []byte("old")},
				Attributes: jt808.Attributes{Model: "T1", ICCID: "89860000000000000001", Firmware: "1.2"},
				Control:    func(c jt808.Control) { orders <- c },
				Track:      func(x jt808.Tracking) { orders <- x },
			}
			if err := term.Dial(t.Context(), s.Addrs()[0].String()); err != nil {
				t.Fatal(err)
			}
			defer term.Close()
			if err := term.Do(t.Context(), jt808.Heartbeat, nil); err != nil {
				t.Error(err)
			}
			if err := term.Report(t.Context(), here); err != nil {
				t.Error(err)
			}
			waitFor(t, func() bool { return p.Values(id)["Latitude"] == "-31.2" && p.Values(id)["Speed"] == "60.5" })
			if _, err := p.InvokeService(t.Context(), id, "text", map[string]string{"Text": "向左转"}, hub.CallOptions{}); err != nil {
				t.Error(err)
			}
			if x := <-heard; x.Text != "向左转" || x.Flag != 4 {
				t.Errorf("heard %+v", x)
			}
			if a, err := p.InvokeService(t.Context(), id, "locate", nil, hub.CallOptions{}); err != nil || len(a.Data) < 50 {
				t.Errorf("%s %v", a.Data, err)
			}
			if a, err := p.SetProperties(t.Context(), id, map[string]any{"HeartbeatSeconds": 45, "Server": "沪"}, hub.CallOptions{}); err != nil {
				t.Errorf("%+v %v", a, err)
			}
			if a, err := p.InvokeService(t.Context(), id, "parameters", nil, hub.CallOptions{}); err != nil || string(a.Data) != `{"P1":45,"P13":"沪"}` {
				t.Errorf("%s %v", a.Data, err)
			}
			some := map[string]any{"IDs": []uint32{1, 99}}
			if a, err := p.InvokeService(t.Context(), id, "parameters", some, hub.CallOptions{}); err != nil || string(a.Data) != `{"P1":45}` {
				t.Errorf("%s %v", a.Data, err)
			}
			want := `{"Type":0,"Maker":"","Model":"T1","Terminal":"","ICCID":"89860000000000000001","Hardware":"","Firmware":"1.2","GNSS":0,"Radio":0}`
			if a, err := p.InvokeService(t.Context(), id, "attributes", nil, hub.CallOptions{}); err != nil || string(a.Data) != want {
				t.Errorf("%s %v", a.Data, err)
			}
			for name, order := range map[string]any{"control": jt808.Control{Command: jt808.ControlReset}, "track": jt808.Tracking{Interval: 5, Seconds: 600}} {
				if _, err := p.InvokeService(t.Context(), id, name, order, hub.CallOptions{}); err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				if got := <-orders; got != order {
					t.Errorf("%s: %+v", name, got)
				}
			}
			if a, err := term.Ask(t.Context(), jt808.QueryTime, nil); err != nil {
				t.Error(err)
			} else if at, err := jt808.ParseServerTime(a.Body); err != nil || time.Since(at).Abs() > time.Minute {
				t.Errorf("time %v, %v", at, err)
			}
			late := here
			late.Time, late.Altitude = here.Time.Add(time.Second), 77
			body, err := jt808.AppendBatch(nil, []jt808.Location{here, late}, true)
			if err == nil {
				err = term.Do(t.Context(), jt808.BatchID, body)
			}
			if err != nil {
				t.Error(err)
			}
			waitFor(t, func() bool { return p.Values(id)["Altitude"] == "77" })
			if err := term.Do(t.Context(), 0x0900, []byte{1}); err == nil {
				t.Error("a message nobody knows is done")
			}
			if err := term.Do(t.Context(), jt808.Logout, nil); err != nil {
				t.Error(err)
			}
			waitFor(t, func() bool { return !p.Online(id) })
		})
	}
}

func waitFor(t testing.TB, ok func() bool) {
	t.Helper()
	for start := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(start) > 10*time.Second {
			t.Fatal("never")
		}
	}
}

// The standard lets terminals use UDP too: a packet is a frame.
func TestUDP(t *testing.T) {
	p, ids, tcp := serve(t, &jt808.Handler{}, "1")
	s := &bridge.Server{
		Bridge: tcp.Bridge, Handler: tcp.Handler, Decoder: jt808.NewDecoder, Encoder: jt808.NewEncoder,
		ListenType: bridge.UDP, Address: "127.0.0.1", Ports: []int{0},
	}
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	nc, err := net.Dial("udp", s.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(30 * time.Second))
	where, err := jt808.Location{Latitude: 30.5, Longitude: 120, Time: time.Now()}.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []struct {
		id   jt808.ID
		body []byte
	}{{jt808.AuthenticateID, []byte("1")}, {jt808.LocationID, where}} {
		if _, err := nc.Write(frame(t, m.id, "1", m.body)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1500)
		n, err := nc.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		if a, err := jt808.ParseAnswer(one(t, b[:n]).Body); err != nil || a.ID != m.id || a.Result != jt808.Done {
			t.Errorf("%+v %v", a, err)
		}
	}
	waitFor(t, func() bool { return p.Values(ids["1"].Device)["Latitude"] == "30.5" })
}

// Who does not know the code, or speaks for another, is out; others stay.
func TestThieves(t *testing.T) {
	_, _, s := serve(t, &jt808.Handler{Secret: []byte("hush")}, "1", "2")
	honest := &jt808.Terminal{Phone: "1"}
	if err := honest.Dial(t.Context(), s.Addrs()[0].String()); err != nil {
		t.Fatal(err)
	}
	defer honest.Close()
	for name, stream := range map[string]string{
		"wrong code":      string(frame(t, jt808.AuthenticateID, "1", []byte("guess"))),
		"another's code":  string(frame(t, jt808.AuthenticateID, "1", []byte((&jt808.Handler{Secret: []byte("hush")}).CodeOf("2")))),
		"two in one":      string(frame(t, jt808.Heartbeat, "2", nil)) + string(frame(t, jt808.Heartbeat, "1", nil)),
		"nobody we know":  string(frame(t, jt808.AuthenticateID, "3", []byte((&jt808.Handler{Secret: []byte("hush")}).CodeOf("3")))),
		"not registered?": string(frame(t, jt808.AuthenticateID, "2", nil)),
	} {
		nc, err := net.Dial("tcp", s.Addrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := nc.Write([]byte(stream)); err != nil {
			t.Fatal(err)
		}
		_ = nc.SetReadDeadline(time.Now().Add(5 * time.Second))
		b := make([]byte, 100)
		for err == nil {
			_, err = nc.Read(b)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: not closed", name)
		}
		_ = nc.Close()
	}
	if err := honest.Do(t.Context(), jt808.Heartbeat, nil); err != nil {
		t.Errorf("the honest one: %v", err)
	}
}

func frame(t testing.TB, id jt808.ID, phone string, body []byte) []byte {
	t.Helper()
	b, err := (&jt808.Frame{ID: id, Phone: phone, Body: body}).Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A location of 2018 is decoded.
func ExampleDecoder() {
	stream, _ := hex.DecodeString("7e02000026123456789012007d02000000010000000200ba7f0e07e4f11c0028003c00001810151010100104000000640202007d01137e")
	var d jt808.Decoder
	m, n, _ := d.Decode(stream)
	l, err := jt808.ParseLocation(m.(*jt808.Frame).Body)
	fmt.Println(n, l.Latitude, l.Longitude, l.Time, err)
	// Output: 54 12.222222 132.444444 2018-10-15 10:10:10 +0800 GMT+8 <nil>
}
