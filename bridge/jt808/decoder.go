// SPDX-License-Identifier: Apache-2.0

package jt808

import "bytes"

const (
	// maxParts is the most sub-packages a message may have.
	maxParts = 255
	// maxOpen is how many messages in parts a terminal may have begun.
	maxOpen = 4
)

// Decoder cuts a stream into messages and joins sub-packages. Frames that cannot
// be read or have a wrong checksum are left out, as the standard's receivers do:
// the terminal repeats them. It implements bridge.Decoder; messages are *Frame.
type Decoder struct {
	open []*parts
	// Bad counts frames that were left out.
	Bad int
}

// Decode implements bridge.Decoder.
func (d *Decoder) Decode(buf []byte) (any, int, error) {
	start := bytes.IndexByte(buf, flag)
	if start < 0 {
		return nil, len(buf), nil
	}
	if start > 0 {
		return nil, start, nil
	}
	end := bytes.IndexByte(buf[1:], flag)
	switch {
	case end == 0: // the end of one frame, the beginning of the next
		return nil, 1, nil
	case end < 0 && len(buf) > maxFrame+1:
		d.Bad++
		return nil, len(buf), nil
	case end < 0:
		return nil, 0, nil
	}
	f, err := Decode(buf[1 : 1+end])
	if err != nil {
		d.Bad++
		return nil, 1 + end, nil
	}
	// The flag at the end stays: it may begin the next frame too.
	if whole := d.join(&f); whole != nil {
		return whole, 1 + end, nil
	}
	return nil, 1 + end, nil
}

// parts is a message of which sub-packages came.
type parts struct {
	id    ID
	first uint16 // serial of the first part
	have  int
	list  [][]byte
}

// join returns f if it is whole, or the message it completes.
func (d *Decoder) join(f *Frame) *Frame {
	if f.Total == 0 {
		return f
	}
	if f.Total > maxParts {
		d.Bad++
		return nil
	}
	first := f.Serial - f.Index + 1
	var p *parts
	for _, o := range d.open {
		if o.id == f.ID && o.first == first && len(o.list) == int(f.Total) {
			p = o
		}
	}
	if p == nil {
		p = &parts{id: f.ID, first: first, list: make([][]byte, f.Total)}
		if len(d.open) == maxOpen {
			d.Bad++
			d.open = d.open[1:]
		}
		d.open = append(d.open, p)
	}
	if p.list[f.Index-1] == nil {
		p.list[f.Index-1] = append(make([]byte, 0, len(f.Body)), f.Body...)
		p.have++
	}
	if p.have < len(p.list) {
		return nil
	}
	for i, o := range d.open {
		if o == p {
			d.open = append(d.open[:i:i], d.open[i+1:]...)
			break
		}
	}
	whole := *f
	whole.Total, whole.Index, whole.Body = 0, 0, bytes.Join(p.list, nil)
	return &whole
}

// Encoder writes messages. It implements bridge.Encoder for *Frame, whose long
// bodies it splits.
type Encoder struct{}

// Append implements bridge.Encoder.
func (Encoder) Append(dst []byte, m any) ([]byte, error) {
	f, ok := m.(*Frame)
	if !ok {
		return dst, ErrValue
	}
	var err error
	for _, part := range f.Split() {
		if dst, err = part.Append(dst); err != nil {
			return dst, err
		}
	}
	return dst, nil
}
