// SPDX-License-Identifier: Apache-2.0

package http2_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/http2"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/store/mem"
)

// A platform lets devices in over HTTP/2, and one of them posts a property and is
// asked for something.
func Example() {
	ctx := context.Background()
	h, err := hub.Open(ctx, hub.Config{Store: mem.New()})
	if err != nil {
		panic(err)
	}
	defer h.Close()
	if _, err := h.CreateProduct(ctx, hub.Product{Key: "a1Example01"}); err != nil {
		panic(err)
	}
	lamp, err := h.RegisterDevice(ctx, hub.Device{ID: iot.DeviceID{Product: "a1Example01", Name: "lamp-1"}})
	if err != nil {
		panic(err)
	}
	handler, err := http2.NewHandler(http2.Config{Platform: h})
	if err != nil {
		panic(err)
	}
	defer handler.Close()
	web := httptest.NewUnstartedServer(handler)
	web.EnableHTTP2 = true
	web.StartTLS()
	defer web.Close()

	c, err := device.New(device.Config{
		Identity: hal.Identity{Device: lamp.ID, DeviceSecret: lamp.Secret},
		Transport: &http2.Transport{
			URL: "h2" + strings.TrimPrefix(web.URL, "https"),
			TLS: web.Client().Transport.(*http.Transport).TLSClientConfig,
		},
		Handlers: device.Handlers{
			RRPC: func(context.Context, string, []byte) ([]byte, error) { return []byte("here"), nil },
		},
	})
	if err != nil {
		panic(err)
	}
	defer c.Close()
	if err := c.Connect(ctx); err != nil {
		panic(err)
	}
	if err := c.PostProperties(ctx, map[string]int{"Brightness": 70}); err != nil {
		panic(err)
	}
	answer, err := h.RRPC(ctx, lamp.ID, []byte("where are you?"), "")
	fmt.Println(string(answer), err)
	// Output: here <nil>
}

// A service of one's own takes what devices stream to it.
func ExampleConfig() {
	voice := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sound, err := io.ReadAll(r.Body)
		fmt.Println(http2.Device(r.Context()), len(sound), err)
	})
	cfg := http2.Config{
		Service: func(id string) http.Handler {
			if id == "iotx/vision/voice/intercom/live" {
				return voice
			}
			return nil
		},
	}
	fmt.Println(cfg.Service("another") == nil)
	// Output: true
}

// Uploads land in a folder, a file under its name when it is whole.
func ExampleNewFolder() {
	dir, err := os.MkdirTemp("", "uploads")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	root, err := os.OpenRoot(dir)
	if err != nil {
		panic(err)
	}
	defer root.Close()
	ctx, lamp := context.Background(), iot.DeviceID{Product: "a1Example01", Name: "lamp-1"}

	f := http2.NewFolder(root)
	id, err := f.Create(ctx, lamp, "log.txt", false)
	if err != nil {
		panic(err)
	}
	n, err := f.Append(ctx, lamp, id, strings.NewReader("it works"))
	fmt.Println(n, err)
	stored, err := f.Finish(ctx, lamp, id)
	fmt.Println(stored.ID, stored.Size, err)
	// Output:
	// 8 <nil>
	// a1Example01/lamp-1/log.txt 8 <nil>
}

// A device uploads a file, and goes on where it was interrupted.
func ExampleUploader() {
	u := &http2.Uploader{
		URL:    "h2://iot.example.com",
		Device: iot.DeviceID{Product: "a1Example01", Name: "lamp-1"}, Secret: auth.NewSecret("its DeviceSecret"),
	}
	upload := func(ctx context.Context, photo *bytes.Reader) (stored http2.Stored, err error) {
		var o http2.UploadOptions
		for range 10 {
			if stored, err = u.Upload(ctx, "photo.jpg", photo, photo.Size(), o); err == nil {
				return stored, nil
			}
			interrupted, ok := errors.AsType[*http2.UploadError](err)
			if !ok {
				return stored, err
			}
			o.Resume = interrupted.ID
		}
		return stored, err
	}
	_ = upload
	// Output:
}
