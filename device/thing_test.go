// SPDX-License-Identifier: Apache-2.0

package device_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/iottest"
	"github.com/openalink/iot/tsl"
)

func airConditioner(t testing.TB) *tsl.Model {
	t.Helper()
	raw, err := os.ReadFile("../tsl/testdata/airconditioner.json")
	if err != nil {
		t.Fatal(err)
	}
	m, err := tsl.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestThing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		var asked []string
		if _, err := h.UpdateProduct(t.Context(), iottest.ProductKey, func(p *hub.Product) { p.Model = airConditioner(t) }); err != nil {
			t.Fatal(err)
		}
		thing := iottest.NewThing(t, h, device.ThingConfig{ // the model comes from the platform
			Property: func(_ context.Context, identifier string, value json.RawMessage) error {
				asked = append(asked, identifier+"="+string(value))
				if identifier == "Mode" {
					return &alink.CodeError{Code: 100001, Message: "stuck"}
				}
				return nil
			},
			Service: func(_ context.Context, identifier string, args json.RawMessage) (any, error) {
				asked = append(asked, identifier+string(args))
				return map[string]string{"Until": "1524448722000"}, nil
			},
		})
		ctx, id := t.Context(), thing.Client().Device()
		for path, value := range map[string]any{
			"Power": 1, "Target": 21.5, "Filter.Hours": 3, "Filter.State": 1, "Curve": []float64{1, 2},
		} {
			if err := thing.Set(path, value); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
		for path, value := range map[string]any{"Target": 99, "Smell": 1, "Filter.Days": 1, "Power.x": 1, "Filter": 5} {
			if err := thing.Set(path, value); !errors.Is(err, device.ErrNotInModel) {
				t.Errorf("%s: %v", path, err)
			}
		}
		var hours int
		if err := thing.Get("Filter.Hours", &hours); err != nil || hours != 3 {
			t.Errorf("hours %d, %v", hours, err)
		}
		for _, path := range []string{"Mode", "Filter.None", "Power.x"} {
			if err := thing.Get(path, &hours); !errors.Is(err, device.ErrNotInModel) {
				t.Errorf("%s: %v", path, err)
			}
		}
		if err := thing.Post(ctx, "Power"); err != nil {
			t.Fatal(err)
		}
		if got := h.Values(id); len(got) != 1 || got["Power"] != "1" {
			t.Errorf("posted %v", got)
		}
		if err := thing.Post(ctx); err != nil {
			t.Fatal(err)
		}
		if got := h.Values(id); len(got) != 4 || got["Filter"] != `{"Hours":3,"State":1}` {
			t.Errorf("posted %v", got)
		}
		if err := thing.Post(ctx, "Mode"); !errors.Is(err, device.ErrNotInModel) {
			t.Errorf("post of nothing: %v", err)
		}
		if err := thing.Event(ctx, "Leak", map[string]int{"Litres": 2}); err != nil {
			t.Error(err)
		}
		if err := thing.Event(ctx, "Leak", map[string]int{"Litres": -2}); !errors.Is(err, device.ErrNotInModel) {
			t.Errorf("bad event: %v", err)
		}
		if _, err := h.SetProperties(ctx, id, map[string]any{"Target": 25}, hub.CallOptions{}); err != nil {
			t.Error(err)
		}
		_, err := h.SetProperties(ctx, id, map[string]any{"Mode": 2, "Power": 0}, hub.CallOptions{})
		if e, ok := errors.AsType[*alink.CodeError](err); !ok || e.Code != 100001 {
			t.Errorf("refused set: %v", err)
		}
		synctest.Wait()
		if got := h.Values(id); got["Target"] != "25" || got["Power"] != "0" { // posted by itself
			t.Errorf("after the set %v", got)
		}
		if a, err := h.FetchProperties(ctx, id, "Target", "Mode"); err != nil || string(a.Data) != `{"Target":25}` {
			t.Errorf("get: %+v, %v", a, err)
		}
		if a, err := h.InvokeService(ctx, id, "Boost", map[string]int{"Minutes": 5}, hub.CallOptions{}); err != nil || string(a.Data) != `{"Until":"1524448722000"}` {
			t.Errorf("service: %+v, %v", a, err)
		}
		if want := []string{"Target=25", "Mode=2", "Power=0", `Boost{"Minutes":5}`}; !slices.Equal(asked, want) {
			t.Errorf("asked %q, want %q", asked, want)
		}
	})
}

func TestDesiredAndHistoryOfADevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		thing := iottest.NewThing(t, h, device.ThingConfig{Model: airConditioner(t), Property: func(context.Context, string, json.RawMessage) error {
			return errors.New("busy")
		}})
		ctx, c := t.Context(), thing.Client()
		if _, err := h.SetDesired(ctx, c.Device(), map[string]any{"Target": 22}, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		got, err := c.DesiredProperties(ctx)
		if err != nil || string(got["Target"].Value) != "22" || got["Target"].Version != 1 {
			t.Fatalf("desired %v, %v", got, err)
		}
		if err := c.DeleteDesired(ctx, map[string]int64{"Target": got["Target"].Version}); err != nil {
			t.Fatal(err)
		}
		if got, err = c.DesiredProperties(ctx, "Target"); err != nil || len(got) != 0 {
			t.Errorf("desired %v, %v", got, err)
		}
		if err := c.PostHistory(ctx, device.Past{Properties: []map[string]device.Timed{{"Runtime": {Value: 7}}}}); err != nil {
			t.Error(err)
		}
		if err := c.PostBatch(ctx, map[string][]device.Timed{"Indoor": {{Value: 7}, {Value: 8}}}, nil); err != nil {
			t.Error(err)
		}
		if got := h.Values(c.Device()); got["Indoor"] != "8" || got["Runtime"] != "7" {
			t.Errorf("values %v", got)
		}
	})
}

// TestCNames wants every function of the C SDK listed once and every counterpart
// to exist.
func TestCNames(t *testing.T) {
	exported := map[string]bool{}
	for _, pkg := range []string{"device", "alink", "hal"} {
		files, err := filepath.Glob("../" + pkg + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range f.Decls {
				names(pkg, d, exported)
			}
		}
	}
	raw, err := os.ReadFile("testdata/csdk.txt")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Fields(string(raw))
	var got []string
	for _, n := range device.CNames() {
		got = append(got, n.C)
		if n.Go != "" && !exported[n.Go] {
			t.Errorf("%s: there is no %s", n.C, n.Go)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) || len(want) != 97 {
		t.Errorf("%d names, want %d", len(got), len(want))
	}
}

// names notes what a declaration exports, struct fields too.
func names(pkg string, d ast.Decl, into map[string]bool) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		name := d.Name.Name
		if d.Recv != nil {
			recv := d.Recv.List[0].Type
			if star, ok := recv.(*ast.StarExpr); ok {
				recv = star.X
			}
			name = fmt.Sprint(recv) + "." + name
		}
		into[pkg+"."+name] = true
	case *ast.GenDecl:
		for _, s := range d.Specs {
			t, ok := s.(*ast.TypeSpec)
			if !ok {
				continue
			}
			into[pkg+"."+t.Name.Name] = true
			if s, ok := t.Type.(*ast.StructType); ok {
				for _, f := range s.Fields.List {
					for _, n := range f.Names {
						into[pkg+"."+t.Name.Name+"."+n.Name] = true
					}
				}
			}
		}
	}
}

func ExampleThing() {
	m, err := tsl.Parse([]byte(`{"properties": [{"identifier": "Lamp", "accessMode": "rw", "dataType":
		{"type": "struct", "specs": [{"identifier": "Level", "dataType": {"type": "int", "specs": {"max": "100"}}}]}}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	lamp, err := device.NewThing(device.ThingConfig{
		Config: device.Config{Identity: hal.Identity{}, Transport: memTransport(nil)}, // where to, as for a Client
		Model:  m,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lamp.Close()
	fmt.Println(lamp.Set("Lamp.Level", 40))
	fmt.Println(lamp.Set("Lamp.Level", 400))
	var level int
	fmt.Println(lamp.Get("Lamp.Level", &level), level)
	// Output:
	// <nil>
	// device: not in the thing model: /Lamp/Level: 400 is above 100 (range)
	// <nil> 40
}

// TestSubThing has a modelled sub-device and a pack of its gateway.
func TestSubThing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		gw := iottest.NewGateway(t, h, device.GatewayConfig{})
		d := h.Register()
		thing, err := gw.SubThing(device.ThingConfig{Config: device.Config{Identity: identityOf(d)}, Model: airConditioner(t)})
		if err != nil {
			t.Fatal(err)
		}
		defer thing.Close()
		if err := thing.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := thing.Set("Target", 20); err != nil {
			t.Fatal(err)
		}
		if err := thing.Post(t.Context()); err != nil {
			t.Fatal(err)
		}
		one := map[string]device.Timed{"Power": {Value: 1, Time: time.Now()}}
		if err := gw.PostPack(t.Context(), device.Pack{Properties: one}, map[iot.DeviceID]device.Pack{d.ID: {Properties: one}}); err != nil {
			t.Fatal(err)
		}
		if got := h.Values(d.ID); got["Target"] != "20" || got["Power"] != "1" {
			t.Errorf("sub-device %v", got)
		}
		if got := h.Values(gw.Device()); got["Power"] != "1" {
			t.Errorf("gateway %v", got)
		}
	})
}
