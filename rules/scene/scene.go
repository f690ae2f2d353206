// SPDX-License-Identifier: Apache-2.0

package scene

import (
	"encoding/json"
	"errors"

	iot "github.com/openalink/iot"
)

// Bounds of scenes.
const (
	MaxScenes     = 1000
	MaxTriggers   = 10
	MaxActions    = 10  // of one scene
	MaxConditions = 32  // comparisons of one scene
	MaxDepth      = 5   // scenes in scenes
	MaxTotal      = 100 // actions, those of scenes in it included
	MaxID         = 40  // bytes
)

// The errors of this package, beside *sql.Error and those of package rules.
var (
	ErrInvalid      = errors.New("scene: invalid")
	ErrUnknownScene = errors.New("scene: no such scene")
	ErrTooMany      = errors.New("scene: too many scenes")
	ErrInUse        = errors.New("scene: another scene runs it")
	ErrClosed       = errors.New("scene: closed")
)

// Scene says what shall be done, when, and if what holds.
type Scene struct {
	ID   string `json:"id"` // 1 to 40 letters, digits, '-' and '_'
	Name string `json:"name,omitempty"`
	// Mode is that of the rules of its triggers: "best-effort", which is the default,
	// or "at-least-once".
	Mode     string     `json:"mode,omitempty"`
	Triggers []Start    `json:"triggers,omitempty"` // any of them
	When     *Condition `json:"when,omitempty"`
	Window   *Window    `json:"window,omitempty"`
	Actions  []Action   `json:"actions"` // 1 to 10, in this order
}

// Start is what starts a scene.
type Start struct {
	// Type is message (with SQL), property (Device, Property, Op, Value), presence
	// (Device, Is), cron (Cron, Zone) or every (Every).
	Type string `json:"type"`
	// SQL is a statement. Its FROM and WHERE count.
	SQL string `json:"sql,omitempty"`
	// Device is "productKey/deviceName"; "productKey/+" is each device of a product.
	Device string `json:"device,omitempty"`
	// Property, Op and Value are as in Condition. Op may also be "any": each post
	// that has the property.
	Property string          `json:"property,omitempty"`
	Op       string          `json:"op,omitempty"`
	Value    json.RawMessage `json:"value,omitempty"`
	Is       string          `json:"is,omitempty"`    // "online" or "offline"; empty for both
	Cron     string          `json:"cron,omitempty"`  // five fields
	Zone     string          `json:"zone,omitempty"`  // as "Europe/Berlin"; empty is Config.Location
	Every    string          `json:"every,omitempty"` // as "10m", 1 s at least
}

// Condition is a comparison with the latest value of a property, or several joined
// by All (and) or Any (or).
type Condition struct {
	All []Condition `json:"all,omitempty"`
	Any []Condition `json:"any,omitempty"`
	// Device is whose property it is; empty for the device that triggered.
	Device iot.DeviceID `json:"device,omitzero"`
	// Property is an identifier or a path into its value: "Position.x", "List[0]".
	Property string `json:"property,omitempty"`
	Op       string `json:"op,omitempty"` // =, !=, <, <=, > or >=
	// Value is a number, text, true or false. Thing models write booleans as 1 and 0,
	// which compare with true and false.
	Value json.RawMessage `json:"value,omitempty"`
}

// Action is one thing a scene does.
type Action struct {
	// Type is set (with Device, Items), call (Device, Service, Args), scene (Scene)
	// or alarm (Level, Text).
	Type string `json:"type"`
	// Device is who shall do it; empty for the device that triggered.
	Device  iot.DeviceID    `json:"device,omitzero"`
	Items   json.RawMessage `json:"items,omitempty"` // an object of identifiers and values
	Service string          `json:"service,omitempty"`
	Args    json.RawMessage `json:"args,omitempty"` // an object; empty means {}
	Scene   string          `json:"scene,omitempty"`
	Level   string          `json:"level,omitempty"`
	Text    string          `json:"text,omitempty"`
}
