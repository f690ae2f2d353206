// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/shadow"
)

// Device is a registered device as applications see it.
type Device struct {
	ID     iot.DeviceID
	Secret auth.Secret // DeviceSecret; made by the hub when empty
	// IotID is an opaque name given at creation. Lookup finds the device by it.
	IotID  string
	State  State
	Tags   map[string]string // of the application and the device
	System map[string]string // reported by SDKs with domain SYSTEM
	// Versions are what the device said it runs, by module of its firmware.
	Versions  map[string]string
	Created   time.Time
	Activated time.Time // first connection; zero before
}

// State is where a device is in its life.
type State string

// The states (wire facts section 2).
const (
	Inactive State = "inactive" // never connected
	Online   State = "online"
	Offline  State = "offline"
	Disabled State = "disabled"
)

// deviceRecord is a Device as stored.
type deviceRecord struct {
	IotID         string            `json:"iotId"`
	Secret        string            `json:"secret"`
	SecretVersion int               `json:"secretVersion"`
	Tags          map[string]string `json:"tags,omitempty"`
	System        map[string]string `json:"system,omitempty"`
	Created       time.Time         `json:"created"`
	Activated     time.Time         `json:"activated,omitzero"`
	Disabled      bool              `json:"disabled,omitempty"`
	Gateway       string            `json:"gateway,omitempty"`    // of a bound sub-device
	Registered    bool              `json:"registered,omitempty"` // its secret was handed out
	// Access is what few devices have; nil for the others. It never changes in place.
	Access *accessRecord `json:"access,omitempty"`

	Desired    map[string]DesiredProperty `json:"desired,omitempty"` // never changed in place
	DesiredSeq int64                      `json:"desiredSeq,omitempty"`
	Jobs       []Job                      `json:"jobs,omitempty"` // never changed in place
	LogUpload  bool                       `json:"logUpload,omitempty"`
	Versions   map[string]string          `json:"versions,omitempty"` // of firmware, by module
}

// accessRecord is what a device logs in with beside its secret.
type accessRecord struct {
	// ClientID and Token are those of a device nobody made beforehand.
	ClientID string `json:"clientId,omitempty"`
	Token    string `json:"token,omitempty"`
	// Epoch rises when all tokens of the device are revoked.
	Epoch uint32   `json:"epoch,omitempty"`
	Certs []string `json:"certs,omitempty"` // fingerprints bound to it
}

// access returns a copy of what the record has; to be changed and put back.
func (r *deviceRecord) access() accessRecord {
	if r.Access == nil {
		return accessRecord{}
	}
	return *r.Access
}

// device is a device in memory: while it is connected, has messages on their
// way, or somebody uses it. Everything else about it is in the store.
//
// Only the worker of its shard changes a device, in the order of the shard's
// queue; mu is there for those who read it meanwhile. Whoever else wants a
// change asks the worker (Hub.do).
type device struct {
	id      iot.DeviceID
	key     string // id's text form, the key of its log records
	product *product

	shard atomic.Pointer[shard] // where what concerns the device is queued
	home  atomic.Pointer[shard] // whose worker changes it; nil between two shards
	held  []item                // of the worker of shard, until it is home there

	refs   int           // guarded by the registry's bucket
	loaded chan struct{} // closed when loading ended
	err    error         // why loading failed; set before loaded is closed

	mu     sync.Mutex
	rec    deviceRecord
	secret auth.Secret
	gone   bool           // deleted
	sess   *session       // the connection, if any
	stored *storedSession // what a clean session 0 resumes; nil otherwise
	topo   *topology      // of a gateway; nil until it is used
	queue  queue
	values values
	shadow *shadow.Document // nil until it is used

	unsettled atomic.Int32 // changes of the shadow that are not durable yet

	connects atomic.Int64 // rate state of logins
	binds    atomic.Int64 // rate state of topology requests about it
	downRate atomic.Int64 // rate state of downlinks
	shadows  atomic.Int64 // rate state of shadow requests

	asked atomic.Int64 // when it made its last request, in nanoseconds
	kept  atomic.Bool  // it is in Hub.recent

	requests, requestBytes atomic.Int64 // rate states of single requests
	overrun                atomic.Int64 // second of their last overrun logged
}

func deviceKey(prefix string, id iot.DeviceID) []byte {
	b := make([]byte, 0, len(prefix)+len(id.Product)+1+len(id.Name))
	return id.Append(append(b, prefix...))
}

// The key prefixes of what is kept for a device.
const (
	prefixDevice  = "d/"  // deviceRecord
	prefixValues  = "v/"  // latest property values
	prefixSession = "s/"  // storedSession
	prefixOnline  = "on/" // present while the device is shown online
	prefixStatus  = "o/"  // last presence event
	prefixQueue   = "q/"  // queued downlinks: q/pk/dn/<id>
	prefixIotID   = "i/"  // IotID to device
	prefixShadow  = "w/"  // shadow document
	prefixTopo    = "gw/" // gw/{gateway}/{sub-device}: bound
	prefixCert    = "c/"  // fingerprint of a certificate to device
	prefixDeleted = "x/"  // a deleted sub-device, with the gateway it had
)

// public renders the device; mu is held.
func (d *device) public() Device {
	return Device{
		ID: d.id, Secret: d.secret, IotID: d.rec.IotID, State: d.state(),
		Tags: cloneTags(d.rec.Tags), System: cloneTags(d.rec.System),
		Created: d.rec.Created, Activated: d.rec.Activated, Versions: cloneTags(d.rec.Versions),
	}
}

func (d *device) state() State {
	switch {
	case d.rec.Disabled:
		return Disabled
	case d.sess != nil:
		return Online
	case d.rec.Activated.IsZero():
		return Inactive
	}
	return Offline
}

// iotID returns the IotID of a device.
func (h *Hub) iotID(ctx context.Context, id iot.DeviceID) (string, error) {
	d, err := h.acquire(ctx, id)
	if err != nil {
		return "", err
	}
	defer h.release(d)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gone {
		return "", unknownDevice(id)
	}
	return d.rec.IotID, nil
}

// Device returns a device. The error wraps ErrUnknownProduct or ErrUnknownDevice.
func (h *Hub) Device(ctx context.Context, id iot.DeviceID) (Device, error) {
	d, err := h.acquire(ctx, id)
	if err != nil {
		return Device{}, err
	}
	defer h.release(d)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gone {
		return Device{}, unknownDevice(id)
	}
	return d.public(), nil
}
