// SPDX-License-Identifier: Apache-2.0

package jt808

import "bytes"

// Decoder cuts a stream into messages and joins sub-packages. Frames that cannot
// be read or have a wrong checksum are left out, as the standard's receivers do:
// the terminal repeats them. It implements bridge.Decoder; messages are *Frame, and
// *Parts when a message in parts begins, for who asks for those that miss. Of those
// it holds 4 at a time and 512 KiB, and drops what began first when there is more.
type Decoder struct {
	open []*Parts
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
	return d.join(&f), 1 + end, nil
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
