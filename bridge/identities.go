// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
)

// Identities says which device of the platform an original identity is. It is
// asked at each login and for each message and must be quick and safe for
// concurrent use. What it does not know is ErrUnmapped.
type Identities interface {
	Lookup(ctx context.Context, identity string) (hal.Identity, error)
}

// Map is Identities in memory, by original identity. It must not change while in
// use.
type Map map[string]hal.Identity

// Lookup implements Identities.
func (m Map) Lookup(_ context.Context, identity string) (hal.Identity, error) {
	id, ok := m[identity]
	if !ok {
		return id, fmt.Errorf("%w: %q", ErrUnmapped, identity)
	}
	return id, nil
}

// maxIdentityFile is the largest identity file that is read.
const maxIdentityFile = 64 << 20

// recheck is how often a Lookup looks whether the file changed.
const recheck = time.Second

// IdentityFile is Identities in a JSON file:
//
//	{"<identity>": {"productKey": "...", "deviceName": "...", "deviceSecret": "..."}}
//
// A Lookup reads the file anew when it changed, looking at most once a second. A
// file that cannot be read, or is gone, leaves the last good one in force. Replace the file in
// one step, by renaming. It is safe for concurrent use.
type IdentityFile struct {
	path string

	mu      sync.Mutex
	all     Map
	seen    os.FileInfo
	checked time.Time
	err     error
}

// OpenIdentities reads an identity file.
func OpenIdentities(path string) (*IdentityFile, error) {
	f := &IdentityFile{path: path}
	if err := f.Reload(); err != nil {
		return nil, err
	}
	return f, nil
}

// Reload reads the file now. After an error the last good content stays.
func (f *IdentityFile) Reload() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reload()
}

// Err tells why the file's present content is not in force, nil if it is.
func (f *IdentityFile) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// Lookup implements Identities.
func (f *IdentityFile) Lookup(ctx context.Context, identity string) (hal.Identity, error) {
	f.mu.Lock()
	if now := time.Now(); now.Sub(f.checked) >= recheck {
		f.checked = now
		info, err := os.Stat(f.path)
		if err != nil || f.seen == nil || !info.ModTime().Equal(f.seen.ModTime()) || info.Size() != f.seen.Size() || !os.SameFile(info, f.seen) {
			_ = f.reload() // Err tells
		}
	}
	all := f.all
	f.mu.Unlock()
	return all.Lookup(ctx, identity)
}

// reload reads the file; mu is held.
func (f *IdentityFile) reload() error {
	raw, err := f.read()
	if err != nil {
		f.seen = nil // it may be read next time though it did not change
		f.err = fmt.Errorf("bridge: identities: %w", err)
		return f.err
	}
	all, err := ParseIdentities(raw)
	if f.err = err; err == nil {
		f.all = all
	}
	return err
}

// read reads the file's bytes; mu is held.
func (f *IdentityFile) read() ([]byte, error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxIdentityFile {
		return nil, fmt.Errorf("%d bytes, at most %d", info.Size(), maxIdentityFile)
	}
	f.seen = info // from before the reading: what changes meanwhile is read again
	return os.ReadFile(f.path)
}

// ParseIdentities reads the content of an identity file. A device without a
// deviceSecret registers with Config.Slot.
func ParseIdentities(raw []byte) (Map, error) {
	var file map[string]struct {
		ProductKey   string      `json:"productKey"`
		DeviceName   string      `json:"deviceName"`
		DeviceSecret auth.Secret `json:"deviceSecret"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		return nil, fmt.Errorf("bridge: identities: %w", err)
	}
	all := make(Map, len(file))
	for identity, e := range file {
		id := hal.Identity{Device: iot.DeviceID{Product: e.ProductKey, Name: e.DeviceName}, DeviceSecret: e.DeviceSecret}
		if err := id.Device.Validate(); err != nil {
			return nil, fmt.Errorf("bridge: identity %q: %w", identity, err)
		}
		all[identity] = id
	}
	return all, nil
}

// Authenticator checks what a device shows before the platform is asked. An error
// refuses it; the text reaches the log only.
type Authenticator interface {
	Authenticate(ctx context.Context, identity string, credentials ...string) error
}

// AuthenticatorFunc is an Authenticator.
type AuthenticatorFunc func(ctx context.Context, identity string, credentials ...string) error

// Authenticate implements Authenticator.
func (f AuthenticatorFunc) Authenticate(ctx context.Context, identity string, credentials ...string) error {
	return f(ctx, identity, credentials...)
}
