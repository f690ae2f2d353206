// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"sync"
	"testing"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/store/mem"
)

// BenchmarkPost is what a direct device's post costs the hub, the store in
// memory: a hundred at a time, as a listener lets them come.
func BenchmarkPost(b *testing.B) {
	limits := hub.NoLimits()
	h, err := hub.Open(b.Context(), hub.Config{Store: mem.New(), Limits: &limits})
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	if _, err := h.CreateProduct(b.Context(), hub.Product{Key: "a1Bench0001"}); err != nil {
		b.Fatal(err)
	}
	d, err := h.RegisterDevice(b.Context(), hub.Device{ID: iot.DeviceID{Product: "a1Bench0001", Name: "lamp-1"}})
	if err != nil {
		b.Fatal(err)
	}
	tr := auth.SignMQTT(d.ID, d.Secret, auth.MQTTOptions{ServerSubscribe: true})
	acc, err := h.Connect(b.Context(), &hal.ConnectRequest{
		Protocol: "mqtt", Version: 4, ClientID: tr.ClientID, UserName: tr.UserName, Credential: auth.NewPassword(tr.Password.Reveal()),
		CleanSession: true, Link: &link{},
	})
	if err != nil {
		b.Fatal(err)
	}
	m := iot.Message{Topic: "/sys/" + d.ID.String() + "/thing/event/property/post", Payload: []byte(`{"id":"1","version":"1.0","params":{"Temperature":21.5,"Power":1},"method":"thing.event.property.post"}`), QoS: 1}
	var window sync.WaitGroup
	done := func([]iot.Message, error) { window.Done() }
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%100 == 0 {
			window.Wait()
		}
		window.Add(1)
		acc.Session.Receive(b.Context(), m, done)
	}
	window.Wait()
}
