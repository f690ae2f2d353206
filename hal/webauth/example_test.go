// SPDX-License-Identifier: Apache-2.0

package webauth_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal/webauth"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/store/mem"
)

// A device that knows its product's secret fetches its own.
func Example() {
	ctx := context.Background()
	h, err := hub.Open(ctx, hub.Config{Store: mem.New()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer h.Close()
	id := iot.DeviceID{Product: "a1Lamps0001", Name: "lamp-1"}
	product, _ := h.CreateProduct(ctx, hub.Product{Key: id.Product, DynamicRegister: true})
	_, _ = h.RegisterDevice(ctx, hub.Device{ID: id, Secret: auth.NewSecret("s3cret")})
	handler, err := webauth.New(webauth.Config{Platform: h})
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(handler) // a real one speaks HTTPS
	defer server.Close()

	client := webauth.Client{URL: server.URL}
	secret, err := client.Register(ctx, id, product.Secret)
	fmt.Println(secret.Reveal(), err)
	_, err = client.Register(ctx, id, product.Secret)
	fmt.Println(err)
	// Output:
	// s3cret <nil>
	// alink: code 6289: device already active
}
