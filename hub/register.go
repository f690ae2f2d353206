// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/store"
	"github.com/openalink/iot/topic"
)

// RegisterDevice adds a device and returns it with its secret. Registering the
// same device again changes nothing and succeeds, so that imports can be
// repeated; with another secret it is ErrExists. An empty name gets one from the
// hub. Other errors wrap ErrUnknownProduct, ErrInvalid or ErrTooMany.
func (h *Hub) RegisterDevice(ctx context.Context, dev Device) (Device, error) {
	if dev.ID.Name == "" {
		dev.ID.Name = h.randomText(20)
	}
	if err := iot.CheckDeviceName(dev.ID.Name); err != nil {
		return Device{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := h.checkTags(dev.Tags); err != nil {
		return Device{}, err
	}
	if auth.IsSealed(dev.Secret.Reveal()) {
		return Device{}, fmt.Errorf("%w: a secret that looks sealed", ErrInvalid)
	}
	old, err := h.Device(ctx, dev.ID)
	if err == nil {
		if !dev.Secret.IsZero() && !dev.Secret.Equal(old.Secret) {
			return Device{}, fmt.Errorf("%w: device %v with another secret", ErrExists, dev.ID)
		}
		return old, nil
	}
	if !errors.Is(err, ErrUnknownDevice) {
		return Device{}, err
	}
	if dev.Secret.IsZero() {
		dev.Secret = auth.NewSecret(h.randomHex(16))
	}
	return h.createDevice(ctx, dev)
}

// createDevice stores a device that was not there a moment ago.
func (h *Hub) createDevice(ctx context.Context, dev Device) (Device, error) {
	p, err := h.product(dev.ID.Product)
	if err != nil {
		return Device{}, err
	}
	if err := h.count(p, 1); err != nil {
		return Device{}, err
	}
	rec := deviceRecord{
		IotID: h.randomText(iotIDLength-6) + "000000", Secret: h.seal(dev.Secret, dev.ID.String()), SecretVersion: 1,
		Tags: cloneTags(dev.Tags), Created: time.Now().UTC(),
	}
	var b store.Batch
	b.Delete(deviceKey(prefixDeleted, dev.ID))
	b.Check(deviceKey(prefixDevice, dev.ID), 0)
	b.Put(deviceKey(prefixDevice, dev.ID), encodeJSON(rec))
	b.Put([]byte(prefixIotID+rec.IotID), encodeJSON(dev.ID))
	h.lifecycle(&b, "create", dev.ID, rec.IotID)
	if err := h.commitCounted(ctx, p, &b); err != nil {
		_ = h.count(p, -1)                     // giving back cannot fail
		if errors.Is(err, store.ErrConflict) { // another caller was first
			return Device{}, fmt.Errorf("%w: device %v", ErrExists, dev.ID)
		}
		return Device{}, err
	}
	dev.IotID, dev.Created, dev.State = rec.IotID, rec.Created, Inactive
	return dev, nil
}

// count changes how many devices there are by n, if the limits allow it.
func (h *Hub) count(p *product, n int) error {
	h.products.mu.Lock()
	defer h.products.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if most := h.limits.DevicesPerProduct; n > 0 && most > 0 && p.rec.Devices+n > most {
		return fmt.Errorf("%w devices of product %s, at most %d", ErrTooMany, p.rec.Key, most)
	}
	if most := h.limits.Devices; n > 0 && most > 0 && h.products.devices+n > most {
		return fmt.Errorf("%w devices, at most %d", ErrTooMany, most)
	}
	p.rec.Devices += n
	h.products.devices += n
	return nil
}

// commitCounted commits b together with the product's record. The lock covers
// the submission only: records are written in order, commits are grouped.
func (h *Hub) commitCounted(ctx context.Context, p *product, b *store.Batch) error {
	result := make(chan error, 1)
	p.mu.Lock()
	b.Put(productKey(p.rec.Key), encodeJSON(p.rec))
	err := h.store.Submit(ctx, b, func(err error) {
		result <- err
		h.news.tell()
	})
	p.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Lookup finds a device by its IotID. The error wraps ErrUnknownDevice.
func (h *Hub) Lookup(ctx context.Context, iotID string) (iot.DeviceID, error) {
	e, err := h.store.Get(ctx, []byte(prefixIotID+iotID))
	if errors.Is(err, store.ErrNotFound) {
		return iot.DeviceID{}, fmt.Errorf("%w with IotID %.64q", ErrUnknownDevice, iotID)
	}
	if err != nil {
		return iot.DeviceID{}, err
	}
	var id iot.DeviceID
	return id, decodeJSON(e.Value, &id)
}

// Devices yields the devices of a product in name order, from after the name
// given ("" for all) on. The walk may see devices come and go.
func (h *Hub) Devices(ctx context.Context, productKey, after string) iter.Seq2[Device, error] {
	return func(yield func(Device, error) bool) {
		if _, err := h.product(productKey); err != nil {
			yield(Device{}, err)
			return
		}
		prefix := prefixDevice + productKey + "/"
		from := []byte(prefix + after)
		if after != "" {
			from = append(from, 0)
		}
		for e, err := range h.store.Range(ctx, from, []byte(prefixDevice+productKey+"0")) {
			if err != nil {
				yield(Device{}, err)
				return
			}
			id := iot.DeviceID{Product: productKey, Name: string(e.Key[len(prefix):])}
			dev, err := h.Device(ctx, id)
			if errors.Is(err, ErrUnknownDevice) {
				continue
			}
			if !yield(dev, err) || err != nil {
				return
			}
		}
	}
}

// RotateSecret gives a device another secret, a new random one when secret is
// zero, and closes its connection.
func (h *Hub) RotateSecret(ctx context.Context, id iot.DeviceID, secret auth.Secret) (Device, error) {
	if secret.IsZero() {
		secret = auth.NewSecret(h.randomHex(16))
	}
	var s *session
	dev, err := h.updateDevice(ctx, id, func(_ *batch, d *device) error {
		h.renew(d, secret)
		s = d.sess
		return nil
	})
	if err == nil && s != nil {
		s.link.Close(hal.CauseKicked)
	}
	return dev, err
}

// SetTags changes tags of a device: keys with an empty value are removed. More
// than Limits.Tags fail with ErrInvalid and change nothing.
func (h *Hub) SetTags(ctx context.Context, id iot.DeviceID, tags map[string]string) (Device, error) {
	return h.updateDevice(ctx, id, func(_ *batch, d *device) error {
		merged := mergeTags(d.rec.Tags, tags)
		if err := h.checkTags(merged); err != nil {
			return err
		}
		d.rec.Tags = merged
		return nil
	})
}

// updateDevice changes the record of a device, in line with its messages, and
// stores it.
func (h *Hub) updateDevice(ctx context.Context, id iot.DeviceID, change func(*batch, *device) error) (Device, error) {
	d, err := h.acquire(ctx, id)
	if err != nil {
		return Device{}, err
	}
	defer h.release(d)
	var dev Device
	err = h.do(ctx, d, func(b *batch) error {
		if err := change(b, d); err != nil {
			return err
		}
		b.st.Put(deviceKey(prefixDevice, d.id), encodeJSON(d.rec))
		dev = d.public()
		return nil
	})
	if err != nil {
		return Device{}, err
	}
	return dev, nil
}

// DisableDevice forbids a device to connect. A connected one is told
// (thing.disable) and its connection closed.
func (h *Hub) DisableDevice(ctx context.Context, id iot.DeviceID) (Device, error) {
	return h.setDisabled(ctx, id, true)
}

// EnableDevice undoes DisableDevice. A device that still is connected is told.
func (h *Hub) EnableDevice(ctx context.Context, id iot.DeviceID) (Device, error) {
	return h.setDisabled(ctx, id, false)
}

func (h *Hub) setDisabled(ctx context.Context, id iot.DeviceID, disabled bool) (Device, error) {
	var s *session
	action := "enable"
	if disabled {
		action = "disable"
	}
	dev, err := h.updateDevice(ctx, id, func(b *batch, d *device) error {
		if d.rec.Disabled != disabled {
			h.lifecycle(&b.st, action, id, d.rec.IotID)
		}
		d.rec.Disabled = disabled
		s = d.sess
		return nil
	})
	if err != nil {
		return dev, err
	}
	h.announce(ctx, id, action)
	if s == nil {
		return dev, nil
	}
	if disabled {
		h.dismiss(ctx, s, "thing.disable", hal.CauseDisabled)
	} else {
		h.notify(ctx, s, "thing.enable")
	}
	return h.Device(ctx, id)
}

// DeleteDevice removes a device and everything current about it: secret, tags,
// values, session and queue. What the logs hold of it stays until it is trimmed.
// A connected device is told (thing.delete) and its connection closed.
func (h *Hub) DeleteDevice(ctx context.Context, id iot.DeviceID) error {
	d, err := h.acquire(ctx, id)
	if err != nil {
		return err
	}
	defer h.release(d)
	if d.product.gateway {
		if err := h.disband(ctx, id); err != nil {
			return err
		}
	}
	var s *session
	err = h.do(ctx, d, func(b *batch) error {
		s = d.sess
		for _, prefix := range []string{prefixDevice, prefixValues, prefixSession, prefixShadow, prefixCurrent} {
			b.st.Delete(deviceKey(prefix, d.id))
		}
		b.st.Delete([]byte(prefixIotID + d.rec.IotID))
		for _, fp := range d.rec.access().Certs {
			b.st.Delete([]byte(prefixCert + fp))
		}
		if gw := d.rec.Gateway; gw != "" {
			b.st.Put(deviceKey(prefixDeleted, d.id), encodeJSON(gw))
			h.unbound(b, d)
		}
		h.lifecycle(&b.st, "delete", d.id, d.rec.IotID)
		d.queue.clear(b, d)
		d.gone = true
		return nil
	})
	if err != nil {
		return err
	}
	_ = h.count(d.product, -1) // giving back cannot fail
	if err := h.commitCounted(ctx, d.product, &store.Batch{}); err != nil {
		return err
	}
	if s != nil {
		h.dismiss(ctx, s, "thing.delete", hal.CauseDeleted)
	}
	h.ota.deleted(id)
	h.forget(d)
	h.shadowNews.tell()
	return nil
}

// forget takes a deleted device out of memory, so that a new one of the same
// name starts afresh while the last holders of the old one finish.
func (h *Hub) forget(d *device) {
	b := &h.devices.buckets[h.devices.hash(d.id)%uint64(len(h.devices.buckets))]
	b.mu.Lock()
	if b.devices[d.id] == d {
		delete(b.devices, d.id)
	}
	b.mu.Unlock()
}

// noticeWait is how long a notice may take to leave before its connection is
// closed anyway.
const noticeWait = time.Second

// dismiss tells a device what happened to it and closes its connection.
func (h *Hub) dismiss(ctx context.Context, s *session, method string, cause hal.Cause) {
	select {
	case <-h.notify(ctx, s, method):
	case <-time.After(noticeWait):
	case <-ctx.Done():
	}
	s.end(cause)
	s.link.Close(cause)
}

// notify sends an Alink request nobody waits for the reply of. The channel is
// closed when it left.
func (h *Hub) notify(ctx context.Context, s *session, method string) <-chan struct{} {
	sent := make(chan struct{})
	name := topic.Sys(s.d.id, methodPath(method))
	payload := h.appendCall(nil, method, []byte("{}"))
	s.sendNow(ctx, iot.Message{Topic: name, Payload: payload}, func(error) { close(sent) })
	return sent
}

func (h *Hub) randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails since Go 1.24
	return fmt.Sprintf("%x", b)
}

// iotIDLength is how long the IotIDs this hub makes are.
const iotIDLength = 26

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

func (h *Hub) randomText(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	for i := range b {
		b[i] = letters[int(b[i])%len(letters)]
	}
	return string(b)
}

func (h *Hub) newProductKey() string { return "a1" + h.randomText(9) }
