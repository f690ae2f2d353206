// SPDX-License-Identifier: Apache-2.0

package management

import (
	"context"
	"net/http"
	"sync"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hub"
)

// parallel is how many devices of one request are handled at once.
const parallel = 32

// each calls f for 0 to n-1, some at once, and returns when all are done.
func each(n int, f func(i int)) {
	var wg sync.WaitGroup
	free := make(chan struct{}, parallel)
	for i := range n {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			f(i)
		})
	}
	wg.Wait()
}

// batchIn is one request for several devices.
type batchIn struct {
	Devices []struct {
		ProductKey string `json:"productKey"`
		DeviceName string `json:"deviceName"`
	} `json:"devices"`
	Service string `json:"service"`
	callIn
}

// batch does something for each device and answers one result for each.
func (a *api) batch(r *http.Request, do func(ctx context.Context, in *batchIn, id iot.DeviceID) (*hub.Answer, error)) (any, error) {
	var in batchIn
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if n := len(in.Devices); n == 0 || n > maxDevices {
		return nil, badRequest("%d devices, 1 to %d are allowed", n, maxDevices)
	}
	ctx, cancel, err := withTimeout(r, in.Timeout)
	if err != nil {
		return nil, err
	}
	defer cancel()
	out := page[result]{Items: make([]result, len(in.Devices))}
	each(len(in.Devices), func(i int) {
		d := in.Devices[i]
		out.Items[i].Device = &Device{ProductKey: d.ProductKey, DeviceName: d.DeviceName}
		answer, err := do(ctx, &in, iot.DeviceID{Product: d.ProductKey, Name: d.DeviceName})
		if err != nil {
			out.Items[i].Error = asError(err)
			return
		}
		out.Items[i].Answer = answer
	})
	return out, nil
}

func (a *api) batchProperties(r *http.Request) (any, error) {
	return a.batch(r, func(ctx context.Context, in *batchIn, id iot.DeviceID) (*hub.Answer, error) {
		answer, err := a.hub.SetProperties(ctx, id, in.params(), in.options())
		return &answer, err
	})
}

func (a *api) batchServices(r *http.Request) (any, error) {
	return a.batch(r, func(ctx context.Context, in *batchIn, id iot.DeviceID) (*hub.Answer, error) {
		answer, err := a.hub.InvokeService(ctx, id, in.Service, in.params(), in.options())
		return &answer, err
	})
}

func (a *api) batchEnable(r *http.Request) (any, error) {
	return a.batch(r, func(ctx context.Context, _ *batchIn, id iot.DeviceID) (*hub.Answer, error) {
		_, err := a.hub.EnableDevice(ctx, id)
		return nil, err
	})
}

func (a *api) batchDisable(r *http.Request) (any, error) {
	return a.batch(r, func(ctx context.Context, _ *batchIn, id iot.DeviceID) (*hub.Answer, error) {
		_, err := a.hub.DisableDevice(ctx, id)
		return nil, err
	})
}
