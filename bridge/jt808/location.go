// SPDX-License-Identifier: Apache-2.0

package jt808

import (
	"encoding/binary"
	"fmt"
	"time"
)

// zone is that of the standard's times, whatever the terminal's: GMT+8.
var zone = time.FixedZone("GMT+8", 8*3600)

// Location is where a terminal is (clause 8.18).
type Location struct {
	Alarm  uint32 // bits: AlarmEmergency and those after it (table 24)
	Status uint32 // bits: StatusIgnition and those after it (table 25)
	// Latitude and Longitude are in degrees, negative in the south and west, with a
	// resolution of a millionth.
	Latitude, Longitude float64
	Altitude            uint16  // m
	Speed               float64 // km/h, in steps of 0.1
	Direction           uint16  // degrees from north, clockwise
	Time                time.Time
	Extras              []Extra
}

const locationSize = 28

// ParseLocation reads the body of LocationID.
func ParseLocation(b []byte) (Location, error) {
	var l Location
	if len(b) < locationSize {
		return l, short("location", b)
	}
	u32 := binary.BigEndian.Uint32
	l.Alarm, l.Status = u32(b), u32(b[4:])
	l.Latitude, l.Longitude = float64(u32(b[8:]))/1e6, float64(u32(b[12:]))/1e6
	if l.Status&StatusSouth != 0 {
		l.Latitude = -l.Latitude
	}
	if l.Status&StatusWest != 0 {
		l.Longitude = -l.Longitude
	}
	l.Altitude = binary.BigEndian.Uint16(b[16:])
	l.Speed = float64(binary.BigEndian.Uint16(b[18:])) / 10
	l.Direction = binary.BigEndian.Uint16(b[20:])
	var err error
	if l.Time, err = parseTime(b[22:28]); err != nil {
		return l, err
	}
	for b = b[locationSize:]; len(b) > 0; {
		if len(b) < 2 || len(b) < 2+int(b[1]) {
			return l, short("extra", b)
		}
		end := 2 + int(b[1])
		l.Extras = append(l.Extras, Extra{b[0], append([]byte(nil), b[2:end]...)})
		b = b[end:]
	}
	return l, nil
}

// Append appends the body. The hemisphere bits of Status follow the signs. It
// fails with ErrValue for degrees outside the globe, speeds that do not fit, years
// outside 2000 to 2099, and long extras.
func (l Location) Append(dst []byte) ([]byte, error) {
	lat, lon, status := l.Latitude, l.Longitude, l.Status&^(StatusSouth|StatusWest)
	if lat < 0 {
		lat, status = -lat, status|StatusSouth
	}
	if lon < 0 {
		lon, status = -lon, status|StatusWest
	}
	if !(lat <= 90 && lon <= 180 && l.Speed >= 0 && l.Speed <= 6553.5) {
		return dst, fmt.Errorf("%w: location %v, %v at %v km/h", ErrValue, l.Latitude, l.Longitude, l.Speed)
	}
	for _, v := range []uint32{l.Alarm, status, uint32(lat*1e6 + 0.5), uint32(lon*1e6 + 0.5)} {
		dst = binary.BigEndian.AppendUint32(dst, v)
	}
	for _, v := range []uint16{l.Altitude, uint16(l.Speed*10 + 0.5), l.Direction} {
		dst = binary.BigEndian.AppendUint16(dst, v)
	}
	dst, err := appendTimeIn(dst, l.Time, zone)
	if err != nil {
		return dst, err
	}
	for _, e := range l.Extras {
		if len(e.Value) > 255 {
			return dst, fmt.Errorf("%w: extra of %d bytes", ErrValue, len(e.Value))
		}
		dst = append(append(dst, e.ID, byte(len(e.Value))), e.Value...)
	}
	return dst, nil
}

// parseTime reads six bytes of BCD. All zeros, which terminals send without a fix,
// is the zero time.
func parseTime(b []byte) (time.Time, error) { return parseTimeIn(b, zone) }

func parseTimeIn(b []byte, in *time.Location) (time.Time, error) {
	text, err := fromBCD(b)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: time %x", ErrBody, b)
	}
	if text == "000000000000" {
		return time.Time{}, nil
	}
	t, err := time.ParseInLocation("20060102150405", "20"+text, in)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: time %s", ErrBody, text)
	}
	return t, nil
}

func appendTimeIn(dst []byte, t time.Time, in *time.Location) ([]byte, error) {
	if t = t.In(in); t.Year() < 2000 || t.Year() > 2099 {
		return dst, fmt.Errorf("%w: year %d", ErrValue, t.Year())
	}
	return appendBCD(dst, t.Format("060102150405"), 6)
}

// ParseBatch reads the body of BatchID: locations, and whether they are late ones
// from an area without network rather than a regular batch (clause 8.49).
func ParseBatch(b []byte) (all []Location, late bool, err error) {
	if len(b) < 3 {
		return nil, false, short("batch", b)
	}
	n, late := int(binary.BigEndian.Uint16(b)), b[2] == 1
	b = b[3:]
	for range n {
		if len(b) < 2 || len(b) < 2+int(binary.BigEndian.Uint16(b)) {
			return nil, late, short("batch", b)
		}
		end := 2 + int(binary.BigEndian.Uint16(b))
		l, err := ParseLocation(b[2:end])
		if err != nil {
			return nil, late, err
		}
		all = append(all, l)
		b = b[end:]
	}
	if len(b) > 0 {
		return nil, late, fmt.Errorf("%w: %d bytes after the batch", ErrBody, len(b))
	}
	return all, late, nil
}

// AppendBatch appends the body of BatchID.
func AppendBatch(dst []byte, all []Location, late bool) ([]byte, error) {
	if len(all) > 0xffff {
		return dst, fmt.Errorf("%w: %d locations", ErrValue, len(all))
	}
	dst = append(binary.BigEndian.AppendUint16(dst, uint16(len(all))), boolBit(late))
	for _, l := range all {
		b, err := l.Append(nil)
		if err != nil {
			return dst, err
		}
		dst = append(binary.BigEndian.AppendUint16(dst, uint16(len(b))), b...)
	}
	return dst, nil
}

func boolBit(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}
