// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
)

// logConfig is whether a device is to upload its log (wire facts section 15).
type logConfig struct {
	GetType string `json:"getType"`
	Content struct {
		Mode int `json:"mode"`
	} `json:"content"`
}

func logConfigOf(upload bool) logConfig {
	c := logConfig{GetType: "content"}
	if upload {
		c.Content.Mode = 1
	}
	return c
}

// logConfigGet answers thing.config.log.get.
func (h *Hub) logConfigGet(ctx context.Context, _ *alink.Request) alink.Reply {
	d := work(ctx).s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	return alink.OK(jsonText(logConfigOf(d.rec.LogUpload)))
}

// SetLogUpload says whether a device is to upload its log. A connected device is
// told at once; others ask when they connect. What devices upload is in the
// message log. The error wraps ErrUnknownDevice.
func (h *Hub) SetLogUpload(ctx context.Context, id iot.DeviceID, upload bool) error {
	d, err := h.acquire(ctx, id)
	if err != nil {
		return err
	}
	defer h.release(d)
	err = h.do(ctx, d, func(b *batch) error {
		d.rec.LogUpload = upload
		b.keepRecord(d)
		return nil
	})
	if err != nil || !h.Online(id) {
		return err
	}
	_, err = h.call(ctx, id, "thing.config.log.push", logConfigOf(upload), CallOptions{Queue: true})
	return err
}

// NotifyBootstrap asks a connected device to look for its platform anew: it asks
// the bootstrap service again and reconnects. Errors are those of SetProperties.
func (h *Hub) NotifyBootstrap(ctx context.Context, id iot.DeviceID) error {
	_, err := h.call(ctx, id, "thing.bootstrap.notify", struct {
		Cmd int `json:"cmd"`
	}{0}, CallOptions{})
	return err
}
