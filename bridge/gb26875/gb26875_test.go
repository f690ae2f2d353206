// SPDX-License-Identifier: Apache-2.0

package gb26875_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/bridge"
	"github.com/openalink/iot/bridge/gb26875"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/mem"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/iottest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var cst = time.FixedZone("GMT+8", 8*3600)

// A fire in part 0x01020304 (a smoke detector, type 40) of the alarm system 1, put
// together from clause 6.5.2 and table 4: 48 bytes of data, low bytes first, and
// the sum of everything between the marks.
const byHand = "4040" + "0500" + "0100" + "1e0f0a140c17" + "665544332211" + "000000000000" + "3000" + "02" +
	"02" + "01" + "01" + "01" + "28" + "04030201" + "0200" +
	"d2bbc2a5b4f3ccfc0000000000000000000000000000000000000000000000" + "1e0f0a140c17"

func handFrame(t testing.TB) []byte {
	t.Helper()
	b, err := hex.DecodeString(byHand)
	if err != nil {
		t.Fatal(err)
	}
	var sum byte
	for _, c := range b[2:] {
		sum += c
	}
	return append(b, sum, '#', '#')
}

func TestFrameByHand(t *testing.T) {
	f, err := gb26875.Decode(handFrame(t))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2023, 12, 20, 10, 15, 30, 0, cst)
	if f.Serial != 5 || f.From.String() != "112233445566" || f.To != 0 || f.Command != gb26875.Data || !f.Time.Equal(at) || f.Version != [2]uint8{1, 0} {
		t.Errorf("%+v", f)
	}
	all, err := f.Parse()
	want := []gb26875.Object{{System: 1, SystemAddress: 1, Part: 40, PartAddress: 0x01020304, State: gb26875.Fire, Text: "一楼大厅", Time: at}}
	if diff := cmp.Diff(want, all); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if again, err := f.Append(nil); err != nil || !bytes.Equal(again, handFrame(t)) {
		t.Errorf("%x %v", again, err)
	}
}

func decode(stream []byte) ([]*gb26875.Frame, int) {
	var d gb26875.Decoder
	var all []*gb26875.Frame
	for len(stream) > 0 {
		m, n, _ := d.Decode(stream)
		if n == 0 {
			break
		}
		if f, ok := m.(*gb26875.Frame); ok {
			all = append(all, f)
		}
		stream = stream[n:]
	}
	return all, d.Bad
}

func TestStream(t *testing.T) {
	good := handFrame(t)
	wrong := bytes.Clone(good)
	wrong[30]++
	long := bytes.Clone(good)
	long[25] = 0xff
	for name, c := range map[string]struct {
		in        [][]byte
		want, bad int
	}{
		"two":            {[][]byte{good, good}, 2, 0},
		"noise":          {[][]byte{[]byte("noise@ "), good}, 1, 0},
		"third mark":     {[][]byte{[]byte("noise@"), good}, 1, 1},
		"wrong checksum": {[][]byte{wrong, good}, 1, 1},
		"absurd length":  {[][]byte{long, good}, 1, 1},
		"half":           {[][]byte{good[:40]}, 0, 0},
		"half a mark":    {[][]byte{[]byte("@")}, 0, 0},
	} {
		if all, bad := decode(bytes.Join(c.in, nil)); len(all) != c.want || bad != c.bad {
			t.Errorf("%s: %d frames, %d bad; want %d, %d", name, len(all), bad, c.want, c.bad)
		}
	}
}

var types = []gb26875.Type{1, 2, 3, 4, 5, 6, 7, 8, 21, 24, 25, 26, 28, 61, 62, 63, 64, 65, 66, 67, 68, 81, 84, 85, 86, 88, 89, 90, 91}

// Whatever the fields a type has come back; the others are not sent.
func TestRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := rapid.SampledFrom(types).Draw(t, "type")
		one := rapid.Custom(func(t *rapid.T) gb26875.Object {
			return gb26875.Object{
				System: rapid.Uint8().Draw(t, "system"), SystemAddress: rapid.Uint8().Draw(t, "address"), Part: rapid.Uint8().Draw(t, "part"),
				PartAddress: rapid.Uint32().Draw(t, "part address"), State: rapid.Uint16Range(0, 255).Draw(t, "state"), Quantity: rapid.Uint8().Draw(t, "quantity"),
				Value: rapid.Int16().Draw(t, "value"), Flags: rapid.Uint8().Draw(t, "flags"), Operator: rapid.Uint8().Draw(t, "operator"),
				Major: rapid.Uint8().Draw(t, "major"), Minor: rapid.Uint8().Draw(t, "minor"), Text: rapid.StringMatching("[a-z一楼]{0,15}").Draw(t, "text"),
				Minutes: rapid.Uint8().Draw(t, "minutes"), Records: rapid.Uint8().Draw(t, "records"), Time: time.Unix(rapid.Int64Range(946702800, 4102398000).Draw(t, "time"), 0).In(cst),
			}
		})
		f := &gb26875.Frame{
			Serial: rapid.Uint16().Draw(t, "serial"), Time: time.Unix(1e9, 0), Command: gb26875.Data,
			From: gb26875.Address(rapid.Uint64Range(0, uint64(gb26875.MaxAddress)).Draw(t, "from")),
		}
		if err := f.Put(typ, rapid.SliceOfN(one, 0, 10).Draw(t, "objects")...); err != nil {
			t.Fatal(err)
		}
		raw, err := f.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, bad := decode(raw)
		if len(got) != 1 || bad != 0 || got[0].From != f.From || got[0].Serial != f.Serial {
			t.Fatalf("%d frames, %d bad", len(got), bad)
		}
		all, err := got[0].Parse()
		if err != nil {
			t.Fatal(err)
		}
		again := *got[0]
		if err := again.Put(typ, all...); err != nil || !bytes.Equal(again.Objects, f.Objects) {
			t.Fatalf("%x became %x, %v", f.Objects, again.Objects, err)
		}
		if a, err := gb26875.ParseAddress(f.From.String()); err != nil || a != f.From {
			t.Fatal(a, err)
		}
	})
}

func TestCannotBeSent(t *testing.T) {
	f := &gb26875.Frame{}
	for name, err := range map[string]error{
		"type":    f.Put(99, gb26875.Object{}),
		"state":   f.Put(gb26875.TransmitterState, gb26875.Object{State: 256}),
		"text":    f.Put(gb26875.PartState, gb26875.Object{Text: "a description of more than 31 bytes"}),
		"year":    f.Put(gb26875.SetClock, gb26875.Object{Time: time.Unix(0, 0)}),
		"objects": f.Put(gb26875.PartState, make([]gb26875.Object, 23)...),
	} {
		if !errors.Is(err, gb26875.ErrValue) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (&gb26875.Frame{From: gb26875.MaxAddress + 1}).Append(nil); !errors.Is(err, gb26875.ErrValue) {
		t.Error(err)
	}
	if _, err := gb26875.ParseAddress("12"); !errors.Is(err, gb26875.ErrValue) {
		t.Error(err)
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add(handFrame(f))
	f.Fuzz(func(t *testing.T, stream []byte) {
		all, _ := decode(stream)
		for _, m := range all {
			objects, err := m.Parse()
			if err == nil && m.Objects != nil {
				_ = m.Put(m.Type, objects...) // may be longer in GB 18030
			}
			raw, err := m.Append(nil)
			if err != nil {
				continue
			}
			if got, bad := decode(raw); len(got) != 1 || bad != 0 {
				t.Errorf("%+v does not come back", m)
			}
		}
	})
}

// serve brings a hub, a bridge and a server up.
func serve(t testing.TB) (p *iottest.Hub, addr string, id iot.DeviceID, b *bridge.Bridge) {
	t.Helper()
	p = iottest.NewHub(t)
	if _, err := p.CreateProduct(t.Context(), hub.Product{Key: "a1bridge000", Gateway: true}); err != nil {
		t.Fatal(err)
	}
	gw, err := p.RegisterDevice(t.Context(), hub.Device{ID: iot.DeviceID{Product: "a1bridge000", Name: "bridge"}})
	if err != nil {
		t.Fatal(err)
	}
	d := p.Register()
	b, err = bridge.New(bridge.Config{
		Gateways:   []device.GatewayConfig{{Config: device.Config{Identity: hal.Identity{Device: gw.ID, DeviceSecret: gw.Secret}, Transport: mem.NewTransport(p)}}},
		Identities: bridge.Map{"112233445566": {Device: d.ID, DeviceSecret: d.Secret}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := &bridge.Server{
		Bridge: b, Handler: &gb26875.Handler{Centre: 1}, Decoder: gb26875.NewDecoder, Encoder: gb26875.NewEncoder,
		Address: "127.0.0.1", Ports: []int{0},
	}
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return p, s.Addrs()[0].String(), d.ID, b
}

func TestPanel(t *testing.T) {
	p, addr, id, b := serve(t)
	ordered := make(chan string, 10)
	panel := &gb26875.Panel{
		Address: 0x112233445566, State: func() uint8 { return gb26875.Running | gb26875.Fault },
		Control: func(typ gb26875.Type, o gb26875.Object) error {
			ordered <- fmt.Sprint(typ, " ", o.Minutes)
			if typ == gb26875.Initialise {
				return errors.New("not today")
			}
			return nil
		},
	}
	panel.Read = func(typ gb26875.Type, o gb26875.Object) ([]gb26875.Object, error) {
		switch typ {
		case gb26875.PartState:
			o.Part, o.State, o.Text, o.Time = 40, gb26875.Fire, "一楼", time.UnixMilli(1700000000000)
			return []gb26875.Object{o}, nil
		case gb26875.Operation:
			var all []gb26875.Object
			for i := range o.Records {
				all = append(all, gb26875.Object{Flags: i + 1, Time: o.Time})
			}
			return all, nil
		}
		return nil, errors.New("no such thing")
	}
	if err := panel.Dial(t.Context(), addr); err != nil {
		t.Fatal(err)
	}
	defer panel.Close()
	for typ, o := range map[gb26875.Type]gb26875.Object{
		gb26875.TransmitterState: {State: gb26875.Running},
		gb26875.SystemState:      {System: 1, State: gb26875.Running | gb26875.Fire},
		gb26875.PartState:        {System: 1, Part: 40, State: gb26875.Fire, Text: "一楼大厅"},
		gb26875.Analog:           {System: 1, Quantity: 3, Value: 215},
		gb26875.Operation:        {Flags: 1},
		gb26875.SystemOperation:  {Flags: 2},
		gb26875.Version:          {Major: 1},
	} {
		if err := panel.Report(t.Context(), typ, o); err != nil {
			t.Errorf("type %d: %v", typ, err)
		}
	}
	for start := time.Now(); b.Stats().Sent < 7; time.Sleep(time.Millisecond) {
		if time.Since(start) > 10*time.Second {
			t.Fatalf("%+v", b.Stats())
		}
	}
	if v := p.Values(id); v["SystemFire"] != "1" || v["TransmitterFire"] != "0" || v["SystemState"] != "3" {
		t.Errorf("%v", v)
	}
	if _, err := p.InvokeService(t.Context(), id, "checkPost", map[string]int{"Minutes": 5}, hub.CallOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := p.InvokeService(t.Context(), id, "setClock", nil, hub.CallOptions{}); err != nil {
		t.Error(err)
	}
	if a, err := p.InvokeService(t.Context(), id, "readState", nil, hub.CallOptions{}); err != nil || string(a.Data) != `{"TransmitterFault":1,"TransmitterFire":0,"TransmitterState":5}` {
		t.Errorf("%s %v", a.Data, err)
	}
	if _, err := p.InvokeService(t.Context(), id, "initialise", nil, hub.CallOptions{}); err == nil {
		t.Error("what was denied is done")
	}
	read := map[string]any{"Type": gb26875.PartState, "System": 1, "SystemAddress": 3, "PartAddress": 7}
	want := `{"Objects":[{"At":1700000000000,"Fault":0,"Fire":1,"Part":40,"PartAddress":7,"State":2,"System":1,"SystemAddress":3,"Text":"一楼"}]}`
	if a, err := p.InvokeService(t.Context(), id, "read", read, hub.CallOptions{}); err != nil || string(a.Data) != want {
		t.Errorf("%s %v", a.Data, err)
	}
	read = map[string]any{"Type": gb26875.Operation, "Records": 2, "Since": int64(1700000000000)}
	want = `{"Objects":[{"At":1700000000000,"Flags":1,"Operator":0},{"At":1700000000000,"Flags":2,"Operator":0}]}`
	if a, err := p.InvokeService(t.Context(), id, "read", read, hub.CallOptions{}); err != nil || string(a.Data) != want {
		t.Errorf("%s %v", a.Data, err)
	}
	for _, typ := range []gb26875.Type{gb26875.Config, gb26875.CheckPost, 9} { // refused, no order, no type
		if a, err := p.InvokeService(t.Context(), id, "read", map[string]any{"Type": typ}, hub.CallOptions{}); err == nil {
			t.Errorf("type %d: %s", typ, a.Data)
		}
	}
	if a, b := <-ordered, <-ordered; a != "91 5" || b != "90 0" {
		t.Errorf("ordered %s, %s", a, b)
	}
	stranger := &gb26875.Panel{Address: 7}
	if err := stranger.Dial(t.Context(), addr); err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if err := stranger.Report(t.Context(), gb26875.Version, gb26875.Object{}); err == nil {
		t.Error("a stranger is confirmed")
	}
}

// A frame that was put together by hand is read.
func ExampleFrame_Parse() {
	f := gb26875.Frame{Command: gb26875.Data}
	if err := f.Put(gb26875.Analog, gb26875.Object{System: 1, Part: 31, PartAddress: 7, Quantity: 3, Value: 215}); err != nil {
		fmt.Println(err)
		return
	}
	all, err := f.Parse()
	step, unit := gb26875.Resolution(all[0].Quantity)
	fmt.Printf("%.1f %s %v\n", float64(all[0].Value)*step, unit, err)
	// Output: 21.5 °C <nil>
}
