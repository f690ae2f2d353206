// SPDX-License-Identifier: Apache-2.0

package provision

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/hub/management"
	"github.com/openalink/iot/rules/define"
	"github.com/openalink/iot/rules/scene"
)

// File is a provision file: one JSON object.
type File struct {
	Products     []Product     `json:"products"`
	Devices      []Device      `json:"devices"`
	Applications []Application `json:"applications"`
	// Rules are applied by ApplyRules.
	Rules []define.Definition `json:"rules"`
	// Scenes are applied by ApplyScenes.
	Scenes []scene.Scene `json:"scenes"`
}

// Product is a product to import: the fields of the management API, its thing
// model and its remote configuration.
type Product struct {
	management.Product
	TSL json.RawMessage `json:"tsl"` // a document, or an array of its own and its function blocks
	// Config is set unless it is the present one already.
	Config json.RawMessage `json:"config"`
}

// Device is a device to import with its secret and tags.
type Device struct {
	ProductKey   string            `json:"productKey"`
	DeviceName   string            `json:"deviceName"`
	DeviceSecret auth.Secret       `json:"deviceSecret"`
	Tags         map[string]string `json:"tags"`
}

// Application is a business server with its key pair.
type Application struct {
	AccessKey    string      `json:"accessKey"`
	AccessSecret auth.Secret `json:"accessSecret"`
	Name         string      `json:"name"`
	// Rights are "read" or "write" by ProductKey, or "*" for everything; without any
	// the application may do everything.
	Rights map[string]hub.Right `json:"rights"`
}

// maxFile is the largest file read, in bytes: a million devices.
const maxFile = 512 << 20

// Read reads a file. Unknown members and anything behind the object are errors
// that say where.
func Read(r io.Reader) (*File, error) {
	dec := json.NewDecoder(io.LimitReader(r, maxFile))
	dec.DisallowUnknownFields()
	var f File
	if err := dec.Decode(&f); err != nil {
		return nil, fmt.Errorf("provision: at byte %d: %w", dec.InputOffset(), err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("provision: at byte %d: more than one JSON value", dec.InputOffset())
	}
	return &f, nil
}
