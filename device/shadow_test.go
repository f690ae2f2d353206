// SPDX-License-Identifier: Apache-2.0

package device_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openalink/iot/device"
	"github.com/openalink/iot/iottest"
	"github.com/openalink/iot/shadow"
)

type lampState struct {
	Hue  int    `json:"hue"`
	Mode string `json:"mode"`
}

func desire(t *testing.T, h *iottest.Hub, c *device.Client, wish string) {
	t.Helper()
	r, err := shadow.Update([]byte(wish))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.UpdateShadow(t.Context(), c.Device(), r, 0); err != nil {
		t.Fatal(err)
	}
}

func TestShadowInStep(t *testing.T) {
	for _, explicit := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			h := iottest.NewHub(t)
			lamp := device.NewSynced(lampState{Mode: "eco"}, func(_ context.Context, next lampState) error {
				if next.Hue > 100 {
					return errors.New("no such hue")
				}
				return nil
			})
			d := h.Register()
			c := iottest.Connect(t, h, d, device.Config{ExplicitSubscribe: explicit, Handlers: device.Handlers{Desired: lamp.Desired}})
			if err := lamp.Set(t.Context(), c, func(s *lampState) { s.Hue = 7 }); err != nil {
				t.Fatal(err)
			}
			desire(t, h, c, `{"hue":42}`)
			synctest.Wait()
			if got := lamp.Value(); got != (lampState{42, "eco"}) {
				t.Errorf("lamp %+v", got)
			}
			s, err := c.Shadow(t.Context())
			if err != nil || string(s.Reported["hue"]) != "42" || len(s.Desired) != 0 {
				t.Errorf("shadow %+v, %v", s, err)
			}
			desire(t, h, c, `{"hue":500}`)
			synctest.Wait()
			if s, _ = c.Shadow(t.Context()); len(s.Desired) != 1 || lamp.Value().Hue != 42 || s.Desired[0].Time.IsZero() {
				t.Errorf("a wish that cannot be followed: %+v", s)
			}
			err = c.ReportShadow(t.Context(), map[string]any{"big": strings.Repeat("x", 20<<10)})
			if !errors.Is(err, &shadow.Error{Code: shadow.BadJSON}) {
				t.Errorf("too large: %v", err)
			}
		})
	}
}

func TestOldWishesAreNotFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		d := h.Register()
		var heard iottest.Recorder[string]
		cfg := device.Config{MaxDesiredAge: time.Hour, Handlers: device.Handlers{
			Desired: func(_ context.Context, wishes []device.Desired) error {
				for _, w := range wishes {
					heard.Add(w.Name + string(w.Value))
				}
				return nil
			},
		}}
		c := iottest.Connect(t, h, d, cfg)
		_ = c.Close()
		desire(t, h, c, `{"old":1}`)
		time.Sleep(2 * time.Hour)
		desire(t, h, c, `{"new":2}`)
		again := iottest.Connect(t, h, d, cfg)
		synctest.Wait()
		if got := fmt.Sprint(heard.All()); got != "[new2]" {
			t.Errorf("heard %s", got)
		}
		if s, err := again.Shadow(t.Context()); err != nil || len(s.Desired) != 0 || len(s.Reported) != 1 {
			t.Errorf("shadow %+v, %v", s, err)
		}
		if doc, err := h.Shadow(t.Context(), d.ID); err != nil || doc.HasDesired() {
			t.Errorf("still desired: %v", err)
		}
	})
}

// A wish made while an earlier one is being followed is not cleared with it, and a
// report made meanwhile does not keep the wish.
func TestWishesMadeMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		d := h.Register()
		var heard iottest.Recorder[string]
		var c *device.Client
		cfg := device.Config{Handlers: device.Handlers{
			Desired: func(ctx context.Context, wishes []device.Desired) error {
				for _, w := range wishes {
					heard.Add(w.Name + string(w.Value))
				}
				switch len(heard.All()) {
				case 1:
					desire(t, h, c, `{"hue":2}`)
				case 2:
					return c.ReportShadow(ctx, map[string]int{"power": 7})
				}
				return nil
			},
		}}
		c = iottest.Connect(t, h, d, cfg)
		desire(t, h, c, `{"hue":1}`)
		synctest.Wait()
		if got := fmt.Sprint(heard.All()); got != "[hue1 hue2]" {
			t.Errorf("heard %s", got)
		}
		s, err := c.Shadow(t.Context())
		if err != nil || len(s.Desired) != 0 || string(s.Reported["hue"]) != "2" || string(s.Reported["power"]) != "7" {
			t.Errorf("shadow %+v, %v", s, err)
		}
	})
}

func ExampleSynced() {
	lamp := device.NewSynced(lampState{Mode: "eco"}, func(_ context.Context, next lampState) error {
		fmt.Println("the lamp turns to", next.Hue)
		return nil
	})
	// device.Handlers{Desired: lamp.Desired} connects it to the shadow.
	err := lamp.Desired(context.Background(), []device.Desired{{Name: "hue", Value: []byte("42")}})
	fmt.Println(lamp.Value(), err)
	// Output:
	// the lamp turns to 42
	// {42 eco} <nil>
}
