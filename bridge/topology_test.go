// SPDX-License-Identifier: Apache-2.0

package bridge_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openalink/iot/bridge"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/iottest"
)

// smallGateways makes a platform whose gateways may have few sub-devices.
func smallGateways(t *testing.T, most int) *iottest.Hub {
	limits := hub.DefaultLimits()
	limits.SubDevices, limits.SubDevicesOnline = most, most
	return iottest.NewHub(t, iottest.WithLimits(limits))
}

// More devices than a gateway may have come and go: those that are away hold nobody's
// place at the platform.
func TestDevicesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most, n = 25, 140
		h := smallGateways(t, most)
		b := newBridge(t, bridge.Config{Gateways: gateways(t, h, "g", 1), Identities: devices(t, h, n), Capacity: most})
		for i := range n {
			online(t, b, fmt.Sprint(i), bridge.SessionOptions{})
			if err := b.Publish(t.Context(), fmt.Sprint(i), value(i)); err != nil {
				t.Errorf("device %d: %v", i, err)
			}
			if i < most-1 {
				continue
			}
			if err := b.Offline(t.Context(), fmt.Sprint(i-most+1)); err != nil {
				t.Error(err)
			}
		}
		for i := n - most + 1; i < n; i++ { // nobody else was touched
			if err := b.Publish(t.Context(), fmt.Sprint(i), value(i)); err != nil {
				t.Errorf("device %d at the end: %v", i, err)
			}
		}
		if h.Connected() != most {
			t.Errorf("%d connected", h.Connected())
		}
	})
}

// Devices come back to gateways that are full of each other's.
func TestFullGatewaysSwap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 20
		h := smallGateways(t, most)
		gws, ids := gateways(t, h, "g", 2), devices(t, h, 2*most)
		order := make([]string, 0, 2*most)
		for i := range 2 * most {
			order = append(order, fmt.Sprint(i))
		}
		for range 3 {
			b := newBridge(t, bridge.Config{Gateways: gws, Identities: ids, Capacity: most})
			for _, identity := range order {
				online(t, b, identity, bridge.SessionOptions{})
			}
			if st := b.Stats(); st.Sessions != 2*most || h.Connected() != 2*most+2 {
				t.Errorf("%+v, %d connected", st, h.Connected())
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
			slices.Reverse(order) // who came last and took what was left chooses now
			time.Sleep(time.Minute)
		}
	})
}

// A device that another gateway had meanwhile comes back to one that remembers it.
func TestBackFromAnotherGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := smallGateways(t, 1)
		const n = 10
		b := newBridge(t, bridge.Config{Gateways: gateways(t, h, "g", 2), Identities: devices(t, h, n), Capacity: 1})
		place := func(identity string) []int {
			online(t, b, identity, bridge.SessionOptions{})
			defer func() { _ = b.Offline(t.Context(), identity) }()
			return b.Stats().Carried
		}
		home, other := place("0"), "" // other has the same gateway
		for i := 1; i < n && other == ""; i++ {
			if slices.Equal(place(fmt.Sprint(i)), home) {
				other = fmt.Sprint(i)
			}
		}
		if other == "" {
			t.Fatal("of all devices 0 only has its gateway")
		}
		for range 3 {
			time.Sleep(time.Minute)
			online(t, b, other, bridge.SessionOptions{})
			online(t, b, "0", bridge.SessionOptions{}) // where there is room
			err := errors.Join(b.Publish(t.Context(), "0", value(1)), b.Offline(t.Context(), "0"), b.Offline(t.Context(), other))
			if err != nil {
				t.Error(err)
			}
			online(t, b, "0", bridge.SessionOptions{})
			if err := b.Publish(t.Context(), "0", value(2)); err != nil || !slices.Equal(b.Stats().Carried, home) {
				t.Errorf("%v, %+v", err, b.Stats())
			}
			if err := b.Offline(t.Context(), "0"); err != nil {
				t.Error(err)
			}
		}
	})
}
