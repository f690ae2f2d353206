// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/store"
	"github.com/openalink/iot/topic"
	"github.com/openalink/iot/tsl"
)

// Product is a set of devices with the same features.
type Product struct {
	Key    string      // ProductKey; chosen by the hub when empty
	Secret auth.Secret // ProductSecret; made by the hub when empty
	Name   string      // for people
	// Gateway tells that its devices may carry sub-devices.
	Gateway bool
	// DynamicRegister allows registered devices to fetch their DeviceSecret with the
	// ProductSecret, once.
	DynamicRegister bool
	// X509 has the devices log in with certificates instead of secrets: see
	// Hub.BindCertificate.
	X509 bool
	// Topics are the classes of custom topics. Nil means topic.DefaultClasses.
	Topics []topic.Class
	// Model is the thing model: what properties, events and services there are. Nil
	// keeps what devices say whatever it is.
	Model *tsl.Model
	// Validation says what happens to values that break the model.
	Validation Validation
	// DataFormat is what its devices speak, Script how to understand raw ones: at
	// most 48 KB for Config.Scripts. Changes hold from a device's next connection on,
	// a new script at once.
	DataFormat DataFormat
	Script     string
	// Tags describe what all devices of the product share.
	Tags    map[string]string
	Created time.Time // set by the hub
}

// Validation is what happens to values that break the thing model.
type Validation string

// The ways to validate.
const (
	// Strict is the documented behaviour and the default: what breaks the model is
	// dropped and logged, the rest is kept, and the answer is 200.
	Strict Validation = "strict"
	// Reject keeps nothing of a message that breaks the model and answers 460 with
	// the reasons as data.
	Reject Validation = "reject"
	// Off keeps everything.
	Off Validation = "off"
)

// product is a Product in memory. All products are: there are at most
// Limits.Products.
type product struct {
	acl    atomic.Pointer[topic.ACL]
	judge  atomic.Pointer[judge]      // nil without a model to apply
	events atomic.Pointer[eventNames] // nil without a model
	raw    atomic.Pointer[rawProduct] // nil for products of plain JSON
	// gateway never changes: its devices carry sub-devices.
	gateway bool
	x509    atomic.Bool
	mu      sync.Mutex // guards what follows and orders its commits; taken inside products.mu
	rec     productRecord
	secret  auth.Secret
}

// productRecord is a Product as stored. Secrets are plain text here; sealing
// them is the store's business.
type productRecord struct {
	Key             string            `json:"key"`
	Secret          string            `json:"secret"`
	Name            string            `json:"name,omitempty"`
	Gateway         bool              `json:"gateway,omitempty"`
	DynamicRegister bool              `json:"dynamicRegister,omitempty"`
	X509            bool              `json:"x509,omitempty"`
	Topics          []topic.Class     `json:"topics"`
	Tags            map[string]string `json:"tags,omitempty"`
	Model           *tsl.Model        `json:"model,omitempty"`
	Validation      Validation        `json:"validation,omitempty"`
	DataFormat      DataFormat        `json:"dataFormat,omitempty"`
	Script          string            `json:"script,omitempty"`
	Created         time.Time         `json:"created"`
	Devices         int               `json:"devices"` // how many there are
}

func (r productRecord) public(secret auth.Secret) Product {
	return Product{
		Key: r.Key, Secret: secret, Name: r.Name, Gateway: r.Gateway, DynamicRegister: r.DynamicRegister, X509: r.X509,
		Topics: slices.Clone(r.Topics), Tags: cloneTags(r.Tags), Created: r.Created,
		Model: r.Model, Validation: r.Validation, DataFormat: r.DataFormat, Script: r.Script,
	}
}

func productKey(pk string) []byte { return append([]byte("p/"), pk...) }

// CreateProduct adds a product and returns it as it is now. Creating the same
// product again changes nothing and succeeds; a product of the same key with
// another secret or node type is ErrExists. Other errors wrap ErrInvalid or
// ErrTooMany.
func (h *Hub) CreateProduct(ctx context.Context, p Product) (Product, error) {
	if p.Key == "" {
		p.Key = h.newProductKey()
	}
	if err := iot.CheckProductKey(p.Key); err != nil {
		return Product{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if p.Topics == nil {
		p.Topics = topic.DefaultClasses()
	}
	acl, err := h.compileClasses(p.Topics)
	if err != nil {
		return Product{}, err
	}
	if err := h.checkTags(p.Tags); err != nil {
		return Product{}, err
	}
	j, err := newJudge(p.Model, p.Validation)
	if err != nil {
		return Product{}, err
	}
	raw, err := h.newRaw(&p)
	if err != nil {
		return Product{}, err
	}
	h.products.mu.Lock()
	defer h.products.mu.Unlock()
	if old := h.products.byKey[p.Key]; old != nil {
		raw.close()
		return old.same(p)
	}
	if n := h.limits.Products; n > 0 && len(h.products.byKey) >= n {
		raw.close()
		return Product{}, fmt.Errorf("%w products, at most %d", ErrTooMany, n)
	}
	if p.Secret.IsZero() {
		p.Secret = auth.NewSecret(h.randomText(16))
	}
	made := &product{secret: p.Secret, gateway: p.Gateway, rec: productRecord{
		Key: p.Key, Secret: h.seal(p.Secret, p.Key), X509: p.X509, Name: p.Name, Gateway: p.Gateway, DynamicRegister: p.DynamicRegister,
		Topics: slices.Clone(p.Topics), Tags: cloneTags(p.Tags), Created: time.Now().UTC(),
		Model: p.Model, Validation: p.Validation, DataFormat: p.DataFormat, Script: p.Script,
	}}
	made.acl.Store(acl)
	made.judge.Store(j)
	made.events.Store(eventsOf(p.Model))
	made.raw.Store(raw)
	made.x509.Store(p.X509)
	if err := made.save(ctx, h); err != nil {
		raw.close()
		return Product{}, err
	}
	h.products.byKey[p.Key] = made
	return made.rec.public(made.secret), nil
}

// same answers a repeated CreateProduct.
func (p *product) same(want Product) (Product, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !want.Secret.IsZero() && !want.Secret.Equal(p.secret) || want.Gateway != p.rec.Gateway {
		return Product{}, fmt.Errorf("%w: product %s", ErrExists, want.Key)
	}
	return p.rec.public(p.secret), nil
}

// save stores the record; p.mu is held or p is not shared yet.
func (p *product) save(ctx context.Context, h *Hub) error {
	var b store.Batch
	b.Put(productKey(p.rec.Key), encodeJSON(p.rec))
	return store.Commit(ctx, h.store, &b)
}

// Product returns a product. The error wraps ErrUnknownProduct.
func (h *Hub) Product(ctx context.Context, key string) (Product, error) {
	p, err := h.product(key)
	if err != nil {
		return Product{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rec.public(p.secret), nil
}

// Products returns all products, by ProductKey.
func (h *Hub) Products(ctx context.Context) ([]Product, error) {
	h.products.mu.RLock()
	defer h.products.mu.RUnlock()
	all := make([]Product, 0, len(h.products.byKey))
	for _, p := range h.products.byKey {
		p.mu.Lock()
		all = append(all, p.rec.public(p.secret))
		p.mu.Unlock()
	}
	slices.SortFunc(all, func(a, b Product) int { return compareText(a.Key, b.Key) })
	return all, nil
}

// UpdateProduct changes name, dynamic registration, topic classes, thing model,
// validation, data format, script and tags of a product; key, secret and node type stay. Devices notice at once. Errors wrap
// ErrUnknownProduct or ErrInvalid.
func (h *Hub) UpdateProduct(ctx context.Context, key string, change func(*Product)) (Product, error) {
	p, err := h.product(key)
	if err != nil {
		return Product{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	want := p.rec.public(p.secret)
	change(&want)
	acl, err := h.compileClasses(want.Topics)
	if err != nil {
		return Product{}, err
	}
	if err := h.checkTags(want.Tags); err != nil {
		return Product{}, err
	}
	j, err := newJudge(want.Model, want.Validation)
	if err != nil {
		return Product{}, err
	}
	raw := p.raw.Load()
	if want.DataFormat != p.rec.DataFormat || want.Script != p.rec.Script {
		if raw, err = h.newRaw(&want); err != nil {
			return Product{}, err
		}
	}
	old := p.rec
	p.rec.Model, p.rec.Validation = want.Model, want.Validation
	p.rec.DataFormat, p.rec.Script = want.DataFormat, want.Script
	p.rec.Name, p.rec.DynamicRegister, p.rec.X509 = want.Name, want.DynamicRegister, want.X509
	p.rec.Topics, p.rec.Tags = slices.Clone(want.Topics), cloneTags(want.Tags)
	if err := p.save(ctx, h); err != nil {
		p.rec = old
		if raw != p.raw.Load() {
			raw.close()
		}
		return Product{}, err
	}
	p.acl.Store(acl)
	p.judge.Store(j)
	p.events.Store(eventsOf(p.rec.Model))
	if before := p.raw.Swap(raw); before != raw {
		before.close()
	}
	p.x509.Store(want.X509)
	return p.rec.public(p.secret), nil
}

// DeleteProduct removes a product that has no devices; with devices it fails
// with ErrInvalid.
func (h *Hub) DeleteProduct(ctx context.Context, key string) error {
	h.products.mu.Lock()
	defer h.products.mu.Unlock()
	p := h.products.byKey[key]
	if p == nil {
		return fmt.Errorf("%w %q", ErrUnknownProduct, key)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rec.Devices > 0 {
		return fmt.Errorf("%w: product %s still has %d devices", ErrInvalid, key, p.rec.Devices)
	}
	var b store.Batch
	b.Delete(productKey(key))
	if err := store.Commit(ctx, h.store, &b); err != nil {
		return err
	}
	delete(h.products.byKey, key)
	p.raw.Load().close()
	return nil
}

func (h *Hub) product(key string) (*product, error) {
	h.products.mu.RLock()
	p := h.products.byKey[key]
	h.products.mu.RUnlock()
	if p == nil {
		return nil, fmt.Errorf("%w %.64q", ErrUnknownProduct, key)
	}
	return p, nil
}

func (h *Hub) compileClasses(classes []topic.Class) (*topic.ACL, error) {
	if n := h.limits.TopicClasses; n > 0 && len(classes) > n {
		return nil, fmt.Errorf("%w: %d topic classes, at most %d", ErrInvalid, len(classes), n)
	}
	acl, err := topic.NewACL(classes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return acl, nil
}

// loadProducts reads all products at start.
func (h *Hub) loadProducts(ctx context.Context) error {
	for e, err := range h.store.Range(ctx, []byte("p/"), []byte("p0")) {
		if err != nil {
			return err
		}
		p := &product{}
		if err := decodeJSON(e.Value, &p.rec); err != nil {
			return errors.Join(fmt.Errorf("hub: product record %q", e.Key), err)
		}
		if p.secret, err = h.unsealText(p.rec.Secret, p.rec.Key); err != nil {
			return fmt.Errorf("hub: product record %q: %w", e.Key, err)
		}
		p.gateway = p.rec.Gateway
		p.x509.Store(p.rec.X509)
		acl, err := topic.NewACL(p.rec.Topics)
		if err != nil {
			return fmt.Errorf("hub: product record %q: %w", e.Key, err)
		}
		p.acl.Store(acl)
		j, err := newJudge(p.rec.Model, p.rec.Validation)
		if err != nil {
			return fmt.Errorf("hub: product record %q: %w", e.Key, err)
		}
		p.judge.Store(j)
		p.events.Store(eventsOf(p.rec.Model))
		want := p.rec.public(p.secret)
		raw, err := h.newRaw(&want)
		if err != nil { // its devices are not understood, the others are
			h.logger.Error("script does not load", "product", p.rec.Key, "error", err)
			raw = &rawProduct{format: p.rec.DataFormat, slots: make(chan struct{}, rawWorkers())}
		}
		p.raw.Store(raw)
		h.products.byKey[p.rec.Key] = p
		h.products.devices += p.rec.Devices
	}
	return nil
}
