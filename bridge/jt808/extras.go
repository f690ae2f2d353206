// SPDX-License-Identifier: Apache-2.0

package jt808

import (
	"bytes"
	"encoding/binary"
)

// Extra is an additional piece of a location (table 27). Those from 0xe1 are the
// makers' own.
type Extra struct {
	ID    uint8
	Value []byte
}

// The extras Fields knows, with their values on the wire. Those of video are of
// JT/T 1078-2016.
const (
	ExtraMileage      = 0x01 // uint32, 0.1 km
	ExtraFuel         = 0x02 // uint16, 0.1 l
	ExtraSpeed        = 0x03 // uint16, 0.1 km/h, of the recorder
	ExtraAlarmEvent   = 0x04 // uint16, to be confirmed by a person
	ExtraTyres        = 0x05 // of 2019: 30 bytes, a pressure each, from the front left
	ExtraTemperature  = 0x06 // of 2019: 16 bits with a sign, °C, in the cabin
	ExtraOverspeed    = 0x11 // place, and its uint32 unless there is none
	ExtraArea         = 0x12 // place, its uint32, direction
	ExtraRouteTime    = 0x13 // uint32 of the route, uint16 s, whether too long
	ExtraVideoAlarm   = 0x14 // uint32
	ExtraVideoLost    = 0x15 // uint32, bits of channels
	ExtraVideoBlocked = 0x16 // uint32, bits of channels
	ExtraStorage      = 0x17 // uint16, bits of memories that fail
	ExtraSignals      = 0x25 // uint32, bits: SignalLowBeam and those after it
	ExtraIO           = 0x2a // uint16, bits: IODeepSleep and IOSleep
	ExtraAnalog       = 0x2b // uint32: input 1 in the high half, input 0 in the low
	ExtraSignal       = 0x30 // uint8, of the radio
	ExtraSatellites   = 0x31 // uint8
)

// numbers are the extras of one number: its field, its size, and how often it goes
// into a unit.
var numbers = map[uint8]struct {
	field string
	size  int
	parts float64
}{
	ExtraMileage:      {"mileage", 4, 10},
	ExtraFuel:         {"fuel", 2, 10},
	ExtraSpeed:        {"recorderSpeed", 2, 10},
	ExtraAlarmEvent:   {"alarmEvent", 2, 0},
	ExtraVideoAlarm:   {"videoAlarm", 4, 0},
	ExtraVideoLost:    {"videoLost", 4, 0},
	ExtraVideoBlocked: {"videoBlocked", 4, 0},
	ExtraStorage:      {"storage", 2, 0},
	ExtraSignals:      {"signals", 4, 0},
	ExtraIO:           {"io", 2, 0},
	ExtraSignal:       {"signal", 1, 0},
	ExtraSatellites:   {"satellites", 1, 0},
}

// Fields returns the location by name, for a bridge.Table: alarm, status,
// ignition, fixed, latitude, longitude, altitude, speed and direction; and of the
// extras with the length of the standard
//
//	mileage (km), fuel (l), recorderSpeed (km/h), alarmEvent,
//	tyres (a list, without those at its end that have no sensor), temperature (°C),
//	overspeedPlace, overspeedArea,
//	areaPlace, area, areaLeft (0 entered, 1 left),
//	route, routeTime (s), routeLong (0 too short, 1 too long),
//	videoAlarm, videoLost, videoBlocked, storage,
//	signals, io, analog0, analog1, signal, satellites
//
// where a place is 0 none, 1 a circle, 2 a rectangle, 3 a polygon and 4 a route. Bits
// of alarm, status, signals and io are taken out by the Mask of a bridge.Field.
func (l Location) Fields() map[string]any {
	f := map[string]any{
		"alarm": l.Alarm, "status": l.Status, "ignition": bit(l.Status & StatusIgnition), "fixed": bit(l.Status & StatusFixed),
		"latitude": l.Latitude, "longitude": l.Longitude, "altitude": l.Altitude, "speed": l.Speed, "direction": l.Direction,
	}
	for _, e := range l.Extras {
		e.fields(f)
	}
	return f
}

func (e Extra) fields(f map[string]any) {
	b := e.Value
	if n, ok := numbers[e.ID]; ok {
		v, _ := Parameter{Value: b}.Uint()
		switch {
		case len(b) != n.size:
		case n.parts > 0:
			f[n.field] = float64(v) / n.parts
		default:
			f[n.field] = v
		}
		return
	}
	u16, u32 := binary.BigEndian.Uint16, binary.BigEndian.Uint32
	switch {
	case e.ID == ExtraTyres && len(b) > 0:
		all := []int{}
		for _, v := range bytes.TrimRight(b, "\xff") {
			all = append(all, int(v))
		}
		f["tyres"] = all
	case e.ID == ExtraTemperature && len(b) == 2:
		f["temperature"] = temperature(u16(b))
	case e.ID == ExtraOverspeed && (len(b) == 1 || len(b) == 5):
		if f["overspeedPlace"] = b[0]; len(b) == 5 {
			f["overspeedArea"] = u32(b[1:])
		}
	case e.ID == ExtraArea && len(b) == 6:
		f["areaPlace"], f["area"], f["areaLeft"] = b[0], u32(b[1:]), b[5]
	case e.ID == ExtraRouteTime && len(b) == 7:
		f["route"], f["routeTime"], f["routeLong"] = u32(b), u16(b[4:]), b[6]
	case e.ID == ExtraAnalog && len(b) == 4:
		f["analog0"], f["analog1"] = u16(b[2:]), u16(b)
	}
}

// temperature reads a number whose highest bit says that it is negative. The
// standard leaves open whether the others are a complement; no cabin is so cold that
// both could be meant.
func temperature(u uint16) int {
	if n := int(int16(u)); n > -16384 {
		return n
	}
	return -int(u & 0x7fff)
}

func bit(v uint32) int {
	if v != 0 {
		return 1
	}
	return 0
}
