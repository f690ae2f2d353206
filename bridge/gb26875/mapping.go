// SPDX-License-Identifier: Apache-2.0

package gb26875

import (
	"time"

	"github.com/openalink/iot/bridge"
)

// Fields returns a state by name, for a bridge.Table: transmitterState,
// transmitterFire, transmitterFault; systemType, systemAddress, systemState,
// systemFire and systemFault. It is empty for other types.
func (o *Object) Fields(t Type) map[string]any {
	switch t {
	case TransmitterState:
		return map[string]any{"transmitterState": o.State, "transmitterFire": bit(o.State & Fire), "transmitterFault": bit(o.State & Fault)}
	case SystemState:
		return map[string]any{
			"systemType": o.System, "systemAddress": o.SystemAddress,
			"systemState": o.State, "systemFire": bit(o.State & Fire), "systemFault": bit(o.State & Fault),
		}
	default:
		return nil
	}
}

func bit(v uint16) int {
	if v != 0 {
		return 1
	}
	return 0
}

// event returns the name of the event a type becomes, and none for states.
func (t Type) event() string {
	switch t {
	case PartState:
		return "PartState"
	case Analog:
		return "AnalogValue"
	case SystemOperation:
		return "SystemOperation"
	case SystemVersion:
		return "SystemVersion"
	case SystemConfig:
		return "SystemConfig"
	case PartConfig:
		return "PartConfig"
	case SystemClock:
		return "SystemClock"
	case Operation:
		return "Operation"
	case Version:
		return "Version"
	case Config:
		return "Config"
	case Clock:
		return "Clock"
	default:
		return ""
	}
}

// message makes what goes to the platform, false for what a transmitter does not
// tell.
func (h *Handler) message(f *Frame, o *Object) (bridge.Message, bool) {
	if f.Type == TransmitterState || f.Type == SystemState {
		return bridge.Properties(h.table().Apply(o.Fields(f.Type))), true
	}
	name := f.Type.event()
	if name == "" {
		return bridge.Message{}, false
	}
	return bridge.Event(name, f.output(o)), true
}

// Output returns what an object of a type says, as the event it becomes has it: of
// System, SystemAddress, Part, PartAddress, State with Fire and Fault, Quantity, Value
// and Unit, Flags and Operator, Major and Minor, and Text those the type has, and At,
// when it happened, in milliseconds of Unix time. Without a time of its own that is at.
func (o *Object) Output(t Type, at time.Time) map[string]any {
	out := make(map[string]any)
	for _, piece := range layout(t) {
		o.describe(piece, out)
	}
	if !o.Time.IsZero() {
		at = o.Time
	}
	out["At"] = at.UnixMilli()
	return out
}

func (o *Object) describe(piece field, out map[string]any) {
	switch piece {
	case system:
		out["System"], out["SystemAddress"] = o.System, o.SystemAddress
	case part:
		out["Part"], out["PartAddress"] = o.Part, o.PartAddress
	case state16, state8:
		out["State"], out["Fire"], out["Fault"] = o.State, bit(o.State&Fire), bit(o.State&Fault)
	case quantity:
		step, unit := Resolution(o.Quantity)
		out["Quantity"], out["Value"], out["Unit"] = o.Quantity, bridge.Scale(float64(o.Value), step), unit
	case flags:
		out["Flags"], out["Operator"] = o.Flags, o.Operator
	case version:
		out["Major"], out["Minor"] = o.Major, o.Minor
	case text, fixedText:
		out["Text"] = o.Text
	default: // of questions, and the time
	}
}

// output is Output with the frame's time for those that have none, or now.
func (f *Frame) output(o *Object) map[string]any {
	at := f.Time
	if at.IsZero() {
		at = time.Now()
	}
	return o.Output(f.Type, at)
}
