// SPDX-License-Identifier: Apache-2.0

package gb26875

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// Type says what the objects of a frame are (table 3).
type Type uint8

// The types. Those up to 28 are told by the transmitter, the others asked or
// ordered by the centre: 61 to 68 ask for 1 to 8, and 81 to 88 for 21 to 28.
const (
	SystemState      Type = 1
	PartState        Type = 2
	Analog           Type = 3
	SystemOperation  Type = 4
	SystemVersion    Type = 5
	SystemConfig     Type = 6
	PartConfig       Type = 7
	SystemClock      Type = 8
	TransmitterState Type = 21
	Operation        Type = 24
	Version          Type = 25
	Config           Type = 26
	Clock            Type = 28

	AskSystemState      Type = 61
	AskPartState        Type = 62
	AskAnalog           Type = 63
	AskSystemOperation  Type = 64
	AskSystemVersion    Type = 65
	AskSystemConfig     Type = 66
	AskPartConfig       Type = 67
	AskSystemClock      Type = 68
	AskTransmitterState Type = 81
	AskOperation        Type = 84
	AskVersion          Type = 85
	AskConfig           Type = 86
	AskClock            Type = 88
	Initialise          Type = 89
	SetClock            Type = 90
	CheckPost           Type = 91
)

// asked is what the type of a question has more than that of its answer.
const asked = 60

// Bits of Object.State of SystemState and PartState (clauses 8.2.1.1 and 8.2.1.2).
// The first three are those of TransmitterState too.
const (
	Running      = 1 << 0 // 0 is a test
	Fire         = 1 << 1
	Fault        = 1 << 2
	Shielded     = 1 << 3
	Supervised   = 1 << 4
	Started      = 1 << 5
	Feedback     = 1 << 6
	Delayed      = 1 << 7
	NoMains      = 1 << 8 // of a part: its supply
	NoBackup     = 1 << 9 // from here on of systems only
	BusFault     = 1 << 10
	Manual       = 1 << 11
	Reconfigured = 1 << 12 // the configuration changed
	Reset        = 1 << 13
)

// Further bits of Object.State of TransmitterState (clause 8.2.1.8).
const (
	TransmitterNoMains  = 1 << 3
	TransmitterNoBackup = 1 << 4
	TransmitterNoLink   = 1 << 5 // to the centre
	TransmitterNoSystem = 1 << 6 // the line to the alarm system is broken
)

// Bits of Object.Flags of SystemOperation and Operation (clauses 8.2.1.4 and 8.2.1.9).
const (
	OperationReset   = 1 << 0
	OperationSilence = 1 << 1
	OperationAlarm   = 1 << 2 // by hand
	OperationClear   = 1 << 3 // the alarm
	OperationCheck   = 1 << 4 // of itself
	OperationConfirm = 1 << 5 // of type Operation: answer to CheckPost
	OperationTest    = 1 << 6
)

// Object is one information object. Which fields count follows from the frame's
// Type: see layout.
type Object struct {
	System, SystemAddress uint8  // of types 1 to 8 and 61 to 68
	Part                  uint8  // kind of part, of types 2, 3 and 7
	PartAddress           uint32 // of types 2, 3, 7, 62, 63 and 67
	State                 uint16 // bits, of types 1, 2 and 21
	Quantity              uint8  // what is measured, of type 3
	Value                 int16  // in steps of Resolution, of type 3
	Flags, Operator       uint8  // of types 4 and 24
	Major, Minor          uint8  // of types 5 and 25
	Text                  string // of types 2, 6, 7 and 26
	Minutes               uint8  // of type 91
	Records               uint8  // how many are asked for, of types 64 and 84
	// Time is when it happened; of types 64 and 84 from when on records are asked for.
	Time time.Time
}

// partText is how many bytes the description of a part has.
const partText = 31

// field is a piece of an object on the wire.
type field uint8

const (
	system field = iota
	part
	partAddress
	state16
	state8
	quantity
	flags
	version
	fixedText
	text
	clock
	minutes
	records
	reserved
)

// layout returns the pieces of an object, nil for types this package does not
// read (clause 8.2).
func layout(t Type) []field {
	switch t {
	case SystemState:
		return []field{system, state16, clock}
	case PartState:
		return []field{system, part, state16, fixedText, clock}
	case Analog:
		return []field{system, part, quantity, clock}
	case SystemOperation:
		return []field{system, flags, clock}
	case SystemVersion:
		return []field{system, version}
	case SystemConfig:
		return []field{system, text}
	case PartConfig:
		return []field{system, part, fixedText}
	case SystemClock:
		return []field{system, clock}
	case TransmitterState:
		return []field{state8, clock}
	case Operation:
		return []field{flags, clock}
	case Version:
		return []field{version}
	case Config:
		return []field{text}
	case Clock, SetClock:
		return []field{clock}
	case CheckPost:
		return []field{minutes}
	case Initialise, AskTransmitterState, AskVersion, AskConfig, AskClock:
		return []field{reserved}
	case AskSystemState, AskSystemVersion, AskSystemConfig, AskSystemClock:
		return []field{system}
	case AskPartState, AskAnalog, AskPartConfig:
		return []field{system, partAddress}
	case AskSystemOperation:
		return []field{system, records, clock}
	case AskOperation:
		return []field{records, clock}
	}
	return nil
}

// size returns how many bytes a piece has at least.
func (f field) size() int {
	switch f {
	case system, state16, flags, version:
		return 2
	case part:
		return 5
	case partAddress:
		return 4
	case quantity:
		return 3
	case fixedText:
		return partText
	case clock:
		return 6
	default:
		return 1
	}
}

// Parse reads the objects of a frame. Types it does not read are ErrBody.
func (f *Frame) Parse() ([]Object, error) {
	fields := layout(f.Type)
	if fields == nil {
		return nil, fmt.Errorf("%w: type %d", ErrBody, f.Type)
	}
	var all []Object
	b := f.Objects
	for range f.Count {
		var o Object
		var err error
		for _, piece := range fields {
			if len(b) < piece.size() {
				return nil, fmt.Errorf("%w: type %d cut short", ErrBody, f.Type)
			}
			if b, err = o.take(piece, b); err != nil {
				return nil, err
			}
		}
		all = append(all, o)
	}
	if len(b) > 0 {
		return nil, fmt.Errorf("%w: %d bytes after the objects", ErrBody, len(b))
	}
	return all, nil
}

// take reads a piece and returns what follows it. b is long enough.
func (o *Object) take(f field, b []byte) (rest []byte, err error) {
	n := f.size()
	switch f {
	case system:
		o.System, o.SystemAddress = b[0], b[1]
	case part:
		o.Part, o.PartAddress = b[0], binary.LittleEndian.Uint32(b[1:])
	case partAddress:
		o.PartAddress = binary.LittleEndian.Uint32(b)
	case state16:
		o.State = binary.LittleEndian.Uint16(b)
	case state8:
		o.State = uint16(b[0])
	case quantity:
		o.Quantity, o.Value = b[0], int16(binary.LittleEndian.Uint16(b[1:]))
	case flags:
		o.Flags, o.Operator = b[0], b[1]
	case version:
		o.Major, o.Minor = b[0], b[1]
	case fixedText:
		o.Text = fromGB(b[:n])
	case text:
		if n = 1 + int(b[0]); len(b) < n {
			return nil, fmt.Errorf("%w: text cut short", ErrBody)
		}
		o.Text = fromGB(b[1:n])
	case clock:
		o.Time, err = parseTime(b)
	case minutes:
		o.Minutes = b[0]
	case records:
		o.Records = b[0]
	case reserved:
	}
	return b[n:], err
}

// Put makes the frame carry objects of a type. It fails with ErrValue when they do
// not fit.
func (f *Frame) Put(t Type, all ...Object) error {
	fields := layout(t)
	if fields == nil || len(all) > 255 {
		return fmt.Errorf("%w: %d objects of type %d", ErrValue, len(all), t)
	}
	b := []byte{}
	for i := range all {
		for _, piece := range fields {
			var err error
			if b, err = all[i].put(piece, b); err != nil {
				return err
			}
		}
	}
	if len(b) > MaxData-2 {
		return fmt.Errorf("%w: %d bytes of objects", ErrValue, len(b))
	}
	f.Type, f.Count, f.Objects = t, uint8(len(all)), b
	return nil
}

func (o *Object) put(f field, b []byte) ([]byte, error) {
	switch f {
	case system:
		return append(b, o.System, o.SystemAddress), nil
	case part:
		return binary.LittleEndian.AppendUint32(append(b, o.Part), o.PartAddress), nil
	case partAddress:
		return binary.LittleEndian.AppendUint32(b, o.PartAddress), nil
	case state16:
		return binary.LittleEndian.AppendUint16(b, o.State), nil
	case state8:
		if o.State > 255 {
			return b, fmt.Errorf("%w: state %#x", ErrValue, o.State)
		}
		return append(b, byte(o.State)), nil
	case quantity:
		return binary.LittleEndian.AppendUint16(append(b, o.Quantity), uint16(o.Value)), nil
	case flags:
		return append(b, o.Flags, o.Operator), nil
	case version:
		return append(b, o.Major, o.Minor), nil
	case fixedText:
		s, err := toGB(o.Text, partText)
		return append(append(b, s...), make([]byte, partText-len(s))...), err
	case text:
		s, err := toGB(o.Text, 255)
		return append(append(b, byte(len(s))), s...), err
	case clock:
		return appendTime(b, o.Time)
	case minutes:
		return append(b, o.Minutes), nil
	case records:
		return append(b, o.Records), nil
	default:
		return append(b, 0), nil
	}
}

// fromGB decodes a text up to its first zero.
func fromGB(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	out, err := simplifiedchinese.GB18030.NewDecoder().String(s)
	if err != nil {
		return ""
	}
	return out
}

func toGB(s string, most int) ([]byte, error) {
	out, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(s))
	if err != nil || len(out) > most || strings.Contains(s, "\x00") {
		return nil, fmt.Errorf("%w: text %q in %d bytes", ErrValue, s, most)
	}
	return out, nil
}

// Resolution returns the unit of a quantity of type Analog and the size of its
// step (table 6); 1 and no unit for those it does not know.
func Resolution(quantity uint8) (step float64, unit string) {
	switch quantity {
	case 1:
		return 1, "pcs"
	case 2:
		return 0.01, "m"
	case 3:
		return 0.1, "°C"
	case 4:
		return 0.1, "MPa"
	case 5:
		return 0.1, "kPa"
	case 6:
		return 0.1, "%LEL"
	case 7:
		return 1, "s"
	case 8:
		return 0.1, "V"
	case 9:
		return 0.1, "A"
	case 10:
		return 0.1, "l/s"
	case 11:
		return 0.1, "m³/min"
	case 12:
		return 1, "m/s"
	}
	return 1, ""
}
