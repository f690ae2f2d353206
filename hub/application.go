// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/store"
)

// Right is what an application may do with a product.
type Right string

// The rights; Write includes Read.
const (
	Read  Right = "read"
	Write Right = "write"
)

// AllProducts stands for every product, and for what belongs to none, in the
// rights of an application.
const AllProducts = "*"

// Application is a business server that uses the platform: its AccessKey pair, and
// what it may do.
type Application struct {
	AccessKey string           // chosen by the hub when empty
	Secret    auth.Secret      // made by the hub when empty
	Name      string           // for people
	Rights    map[string]Right // by ProductKey, or AllProducts; none is no right
}

// May reports whether the application may read, or write, what belongs to a
// product; an empty key stands for what belongs to none.
func (a Application) May(productKey string, right Right) bool {
	for _, key := range []string{productKey, AllProducts} {
		if has := a.Rights[key]; key != "" && (has == Write || has == right) {
			return true
		}
	}
	return false
}

// applicationRecord is an Application as stored.
type applicationRecord struct {
	Secret string           `json:"secret"`
	Name   string           `json:"name,omitempty"`
	Rights map[string]Right `json:"rights,omitempty"`
}

// applications are all in memory.
type applications struct {
	mu  sync.RWMutex
	all map[string]Application
}

const prefixApplication = "a/"

// maxApplications bounds how many there are.
const maxApplications = 1000

func (h *Hub) loadApplications(ctx context.Context) error {
	h.applications.all = make(map[string]Application)
	for e, err := range h.store.Range(ctx, []byte(prefixApplication), []byte("a0")) {
		if err != nil {
			return err
		}
		key := string(e.Key[len(prefixApplication):])
		var rec applicationRecord
		if err := decodeJSON(e.Value, &rec); err != nil {
			return fmt.Errorf("hub: application %q: %w", key, err)
		}
		secret, err := h.unsealText(rec.Secret, prefixApplication+key)
		if err != nil {
			return fmt.Errorf("hub: application %q: %w", key, err)
		}
		h.applications.all[key] = Application{AccessKey: key, Secret: secret, Name: rec.Name, Rights: rec.Rights}
	}
	return nil
}

// PutApplication adds an application or changes the one of the same AccessKey, and
// returns it as it is now. An empty Secret keeps that of an existing one. Errors
// wrap ErrInvalid or ErrTooMany.
func (h *Hub) PutApplication(ctx context.Context, a Application) (Application, error) {
	if a.AccessKey == "" {
		a.AccessKey = "ak" + h.randomText(16)
	}
	if len(a.AccessKey) > 128 || strings.ContainsAny(a.AccessKey, " ,=/\"\r\n\x00") {
		return Application{}, fmt.Errorf("%w: AccessKey %.64q", ErrInvalid, a.AccessKey)
	}
	for key, r := range a.Rights {
		if r != Read && r != Write {
			return Application{}, fmt.Errorf("%w: right %.16q to product %.64q", ErrInvalid, string(r), key)
		}
	}
	t := &h.applications
	t.mu.Lock()
	defer t.mu.Unlock()
	old, known := t.all[a.AccessKey]
	if !known && len(t.all) >= maxApplications {
		return Application{}, fmt.Errorf("%w applications, at most %d", ErrTooMany, maxApplications)
	}
	if a.Secret.IsZero() {
		a.Secret = old.Secret
	}
	if a.Secret.IsZero() {
		a.Secret = auth.NewSecret(h.randomHex(20))
	}
	a.Rights = maps.Clone(a.Rights)
	var b store.Batch
	b.Put([]byte(prefixApplication+a.AccessKey), encodeJSON(applicationRecord{
		Secret: h.seal(a.Secret, prefixApplication+a.AccessKey), Name: a.Name, Rights: a.Rights,
	}))
	if err := store.Commit(ctx, h.store, &b); err != nil {
		return Application{}, err
	}
	t.all[a.AccessKey] = a
	return a, nil
}

// ErrUnknownApplication means that no application has the AccessKey.
var ErrUnknownApplication = errors.New("hub: unknown application")

// Application returns an application. The error wraps ErrUnknownApplication.
func (h *Hub) Application(accessKey string) (Application, error) {
	h.applications.mu.RLock()
	defer h.applications.mu.RUnlock()
	a, ok := h.applications.all[accessKey]
	if !ok {
		return Application{}, fmt.Errorf("%w %.64q", ErrUnknownApplication, accessKey)
	}
	return a, nil
}

// Applications returns all applications, by AccessKey.
func (h *Hub) Applications() []Application {
	h.applications.mu.RLock()
	defer h.applications.mu.RUnlock()
	return slices.SortedFunc(maps.Values(h.applications.all), func(a, b Application) int { return compareText(a.AccessKey, b.AccessKey) })
}

// DeleteApplication takes an application its access. The error wraps
// ErrUnknownApplication.
func (h *Hub) DeleteApplication(ctx context.Context, accessKey string) error {
	t := &h.applications
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.all[accessKey]; !ok {
		return fmt.Errorf("%w %.64q", ErrUnknownApplication, accessKey)
	}
	var b store.Batch
	b.Delete([]byte(prefixApplication + accessKey))
	if err := store.Commit(ctx, h.store, &b); err != nil {
		return err
	}
	delete(t.all, accessKey)
	return nil
}
