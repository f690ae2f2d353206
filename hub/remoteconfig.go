// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/ota"
	"github.com/openalink/iot/store"
	"github.com/openalink/iot/topic"
)

// RemoteConfig is a version of the remote configuration of a product, or of one
// device, which then goes before the product's.
type RemoteConfig struct {
	ID      string `json:"configId"`
	Product string `json:"product"`
	Device  string `json:"device,omitempty"` // DeviceName; empty for the whole product
	Version int    `json:"version"`          // from 1
	// Content is JSON, byte for byte as it was set. Nil turns the configuration off.
	Content []byte    `json:"-"`
	Size    int       `json:"size"`
	SHA256  string    `json:"sha256,omitempty"`
	Note    string    `json:"note,omitempty"` // for people
	Created time.Time `json:"created"`
}

// configRecord is a RemoteConfig as stored.
type configRecord struct {
	RemoteConfig
	Content []byte `json:"content"`
}

// The keys of what is kept of configurations. A scope is "pk/" or "pk/dn".
const (
	prefixConfig  = "cfg/i/" // configRecord by id
	prefixCurrent = "cfg/n/" // id by scope
	prefixHistory = "cfg/v/" // id by scope and version
)

// Codes of thing.config.get (wire facts section 13.4).
const (
	CodeNoConfig       alink.Code = 6710
	CodeConfigDisabled alink.Code = 6713
)

// isConfigID tells configurations from packages: ids of the latter are base32
// and hold no zero.
func isConfigID(id string) bool { return strings.HasPrefix(id, "0") }

func configScope(product, device string) string { return product + "/" + device }

func historyKey(scope string, version int) []byte {
	return fmt.Appendf(nil, "%s%s/%08d", prefixHistory, scope, version)
}

// SetConfig makes c the configuration of its product or device and returns it
// with id and version. Nobody is told: PushConfig does that. Nil content turns it
// off. With ifVersion other than zero it fails with ErrConflict unless that is the
// present version. Other errors wrap ErrUnknownProduct, ErrUnknownDevice,
// ErrInvalid (no JSON) or ErrTooLarge (over Limits.ConfigBytes).
func (h *Hub) SetConfig(ctx context.Context, c RemoteConfig, ifVersion int) (RemoteConfig, error) {
	if err := h.checkConfig(ctx, &c); err != nil {
		return c, err
	}
	scope := configScope(c.Product, c.Device)
	now, err := h.store.Get(ctx, []byte(prefixCurrent+scope))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return c, err
	}
	before := RemoteConfig{}
	if err == nil {
		if before, err = h.configByID(ctx, string(now.Value[1:])); err != nil {
			return c, err
		}
	}
	if ifVersion != 0 && ifVersion != before.Version {
		return c, fmt.Errorf("%w: configuration of %s has version %d, not %d", ErrConflict, scope, before.Version, ifVersion)
	}
	c.ID, c.Version, c.Created = "0"+strings.ToLower(rand.Text()), before.Version+1, time.Now().UTC().Truncate(time.Millisecond)
	c.Size, c.SHA256 = len(c.Content), ""
	if c.Content != nil {
		sum := sha256.Sum256(c.Content)
		c.SHA256 = hex.EncodeToString(sum[:])
	}
	var b store.Batch
	b.Check([]byte(prefixCurrent+scope), now.Revision)
	b.Put([]byte(prefixCurrent+scope), append([]byte{recordFormat}, c.ID...))
	b.Put(historyKey(scope, c.Version), append([]byte{recordFormat}, c.ID...))
	b.Put([]byte(prefixConfig+c.ID), encodeJSON(configRecord{c, c.Content}))
	h.ota.note(&b, time.Now(), UpdateEvent{
		Kind: UpdateConfig, Product: c.Product, Device: c.Device, Config: c.ID, Version: fmt.Sprint(c.Version), Detail: c.Note,
	})
	err = store.Commit(ctx, h.store, &b)
	if errors.Is(err, store.ErrConflict) {
		return c, fmt.Errorf("%w: configuration of %s", ErrConflict, scope)
	}
	h.otaNews.tell()
	return c, err
}

func (h *Hub) checkConfig(ctx context.Context, c *RemoteConfig) error {
	if _, err := h.product(c.Product); err != nil {
		return err
	}
	if c.Device != "" {
		if _, err := h.Device(ctx, iot.DeviceID{Product: c.Product, Name: c.Device}); err != nil {
			return err
		}
	}
	if len(c.Content) > h.limits.ConfigBytes {
		return fmt.Errorf("%w: configuration of %d bytes, at most %d", ErrTooLarge, len(c.Content), h.limits.ConfigBytes)
	}
	if c.Content != nil && !json.Valid(c.Content) {
		return fmt.Errorf("%w: configuration is no JSON", ErrInvalid)
	}
	c.Content = bytes.Clone(c.Content)
	return nil
}

// configByID reads a version. The error wraps ErrUnknownConfig.
func (h *Hub) configByID(ctx context.Context, id string) (RemoteConfig, error) {
	e, err := h.store.Get(ctx, []byte(prefixConfig+id))
	if errors.Is(err, store.ErrNotFound) {
		return RemoteConfig{}, fmt.Errorf("%w %.64q", ErrUnknownConfig, id)
	}
	if err != nil {
		return RemoteConfig{}, err
	}
	var rec configRecord
	err = decodeJSON(e.Value, &rec)
	rec.RemoteConfig.Content = rec.Content
	return rec.RemoteConfig, err
}

// Config returns the present configuration of a product, or of a device when one
// is named. The error wraps ErrUnknownConfig.
func (h *Hub) Config(ctx context.Context, product, device string) (RemoteConfig, error) {
	scope := configScope(product, device)
	e, err := h.store.Get(ctx, []byte(prefixCurrent+scope))
	if errors.Is(err, store.ErrNotFound) {
		return RemoteConfig{}, fmt.Errorf("%w of %s", ErrUnknownConfig, scope)
	}
	if err != nil {
		return RemoteConfig{}, err
	}
	if len(e.Value) == 0 || e.Value[0] != recordFormat {
		return RemoteConfig{}, fmt.Errorf("hub: configuration of %s: %w", scope, store.ErrFormat)
	}
	return h.configByID(ctx, string(e.Value[1:]))
}

// ConfigHistory yields the versions of a configuration, oldest first.
func (h *Hub) ConfigHistory(ctx context.Context, product, device string) iter.Seq2[RemoteConfig, error] {
	return func(yield func(RemoteConfig, error) bool) {
		prefix := prefixHistory + configScope(product, device)
		for e, err := range h.store.Range(ctx, []byte(prefix+"/"), []byte(prefix+"0")) {
			var c RemoteConfig
			if err == nil {
				c, err = h.configByID(ctx, string(e.Value[1:]))
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

// RollbackConfig sets the content of an earlier version again, as a new version.
// Errors are those of SetConfig, and ErrUnknownConfig.
func (h *Hub) RollbackConfig(ctx context.Context, product, device string, version int) (RemoteConfig, error) {
	e, err := h.store.Get(ctx, historyKey(configScope(product, device), version))
	if errors.Is(err, store.ErrNotFound) {
		return RemoteConfig{}, fmt.Errorf("%w: version %d", ErrUnknownConfig, version)
	}
	if err != nil {
		return RemoteConfig{}, err
	}
	old, err := h.configByID(ctx, string(e.Value[1:]))
	if err != nil {
		return RemoteConfig{}, err
	}
	old.Note = fmt.Sprintf("version %d again", version)
	return h.SetConfig(ctx, old, 0)
}

// configFor returns what a device is to have: its own, else the product's. The
// error wraps ErrUnknownConfig.
func (h *Hub) configFor(ctx context.Context, id iot.DeviceID) (RemoteConfig, error) {
	c, err := h.Config(ctx, id.Product, id.Name)
	if errors.Is(err, ErrUnknownConfig) {
		c, err = h.Config(ctx, id.Product, "")
	}
	return c, err
}

// configData describes a configuration to a device: by a link if there are any
// and it does not ask for the content itself.
func (h *Hub) configData(c RemoteConfig, id iot.DeviceID, inline bool) ([]byte, error) {
	w := ota.Config{ID: c.ID, Size: int64(c.Size), SHA256: c.SHA256}
	if inline || h.ota.links == nil {
		var text bytes.Buffer // what is inline is compact, and signed as it is
		if err := json.Compact(&text, c.Content); err != nil {
			return nil, fmt.Errorf("hub: configuration %s: %w", c.ID, err)
		}
		sum := sha256.Sum256(text.Bytes())
		w.Content, w.Size, w.SHA256 = text.Bytes(), int64(text.Len()), hex.EncodeToString(sum[:])
	} else {
		w.URL = h.ota.links.Sign(c.ID, id, time.Now())
	}
	return w.AppendData(nil)
}

// configGet answers thing/config/get.
func (h *Hub) configGet(ctx context.Context, r *alink.Request) alink.Reply {
	var p struct{ GetType, ConfigScope string }
	if err := json.Unmarshal(alink.LenientParams(r.Params), &p); err != nil || p.ConfigScope != "" && p.ConfigScope != "product" && p.ConfigScope != "device" {
		return badParams("params must be an object with configScope product")
	}
	c, err := h.configFor(h.ctx, r.Device)
	switch {
	case errors.Is(err, ErrUnknownConfig):
		return alink.Reply{Code: CodeNoConfig, Message: "no configuration"}
	case err != nil:
		return alink.ErrorReply(err)
	case c.Content == nil:
		return alink.Reply{Code: CodeConfigDisabled, Message: "configuration is turned off"}
	}
	data, err := h.configData(c, r.Device, p.GetType == "content")
	if err != nil {
		return alink.ErrorReply(err)
	}
	return alink.OK(data)
}

const configSlot = "config"

// PushConfig tells devices of their configuration: one, also when it is away, or
// with an empty device name all of the product that are connected; the others
// fetch it when they start. A push that did not leave yet is replaced. It returns
// how many were told. Errors wrap ErrUnknownProduct, ErrUnknownDevice,
// ErrUnknownConfig or ErrInvalid (it is turned off).
func (h *Hub) PushConfig(ctx context.Context, product, name string) (int, error) {
	if _, err := h.product(product); err != nil {
		return 0, err
	}
	if name != "" {
		return h.pushOne(ctx, iot.DeviceID{Product: product, Name: name})
	}
	if c, err := h.Config(ctx, product, ""); err != nil {
		return 0, err
	} else if c.Content == nil {
		return 0, fmt.Errorf("%w: configuration is turned off", ErrInvalid)
	}
	var ids []iot.DeviceID
	h.each(func(d *device) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.id.Product == product && d.sess != nil && !d.gone {
			ids = append(ids, d.id)
		}
	})
	return h.pushMany(ctx, ids)
}

// pushTogether is how many devices are told at once, to share commits.
const pushTogether = 256

// pushMany tells devices and returns how many were told. It ends at the first
// error; a device deleted meanwhile is none.
func (h *Hub) pushMany(ctx context.Context, ids []iot.DeviceID) (told int, err error) {
	for some := range slices.Chunk(ids, pushTogether) {
		errs := make([]error, len(some))
		var wg sync.WaitGroup
		for i, id := range some {
			wg.Go(func() { _, errs[i] = h.pushOne(ctx, id) })
		}
		wg.Wait()
		for _, err := range errs {
			switch {
			case err == nil:
				told++
			case !errors.Is(err, ErrUnknownDevice):
				return told, err
			}
		}
	}
	return told, nil
}

func (h *Hub) pushOne(ctx context.Context, id iot.DeviceID) (int, error) {
	d, err := h.acquire(ctx, id)
	if err != nil {
		return 0, err
	}
	defer h.release(d)
	if err := h.do(ctx, d, func(b *batch) error { return h.queueConfig(b, d) }); err != nil {
		return 0, err
	}
	return 1, nil
}

// queueConfig queues the push of a device's configuration as it is now, with a
// fresh link. The worker calls it with the device's lock held.
func (h *Hub) queueConfig(b *batch, d *device) error {
	c, err := h.configFor(h.ctx, d.id)
	if err != nil {
		return err
	}
	if c.Content == nil {
		return fmt.Errorf("%w: configuration is turned off", ErrInvalid)
	}
	data, err := h.configData(c, d.id, false)
	if err != nil {
		return err
	}
	call := h.callIDs.next()
	payload := alink.AppendCall(nil, &alink.Call{ID: call, Method: string(alink.ConfigPush), Params: data})
	h.latest(b, d, configSlot, topic.Sys(d.id, "thing/config/push"), call, payload, b.now.Add(h.limits.QueueTTL))
	return nil
}

// freshenConfig makes a push anew that waits for a device that connects. The
// device's lock is held.
func (h *Hub) freshenConfig(b *batch, d *device) {
	if d.queue.waitingIn(configSlot) == nil {
		return
	}
	if err := h.queueConfig(b, d); err != nil { // none any more
		d.queue.dropSlot(b, d, configSlot)
	}
}
