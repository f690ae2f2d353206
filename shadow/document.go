// SPDX-License-Identifier: Apache-2.0

package shadow

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/tidwall/gjson"
)

// Document is the shadow of one device. The zero Document is that of a device
// nothing was said about. It is not safe for concurrent use.
type Document struct {
	reported, desired node
	version           int64 // on the wire
	revision          uint64
	desiredAt         uint64 // revision of the last change of desired
	time              int64  // epoch seconds of the last change
	weight            int    // bytes of the requests it keeps parts of
}

// Version is the number on the wire: chosen by whoever writes, reset by -1.
func (d *Document) Version() int64 { return d.version }

// Revision rises by one with every change, for as long as the document lives,
// deletes included: the number to compare, watch and order by.
func (d *Document) Revision() uint64 { return d.revision }

// DesiredRevision is the revision of the last change of the desired section: what
// a device has to be told once.
func (d *Document) DesiredRevision() uint64 { return d.desiredAt }

// HasDesired reports whether anything is desired.
func (d *Document) HasDesired() bool { return len(d.desired.kids) > 0 }

// Clone returns a copy that changes on its own. It costs next to nothing: what a
// change replaces is never written to again.
func (d *Document) Clone() *Document {
	c := *d
	return &c
}

// Time is when the document last changed, to the second.
func (d *Document) Time() time.Time { return time.Unix(d.time, 0).UTC() }

// Append writes the document as applications see it and as it is stored:
// state, metadata, timestamp, version and revisions, as compact JSON.
func (d *Document) Append(dst []byte) []byte {
	dst = slices.Grow(dst, d.room()+80)
	dst = append(dst, '{')
	dst = d.appendState(dst)
	dst = append(dst, `,"timestamp":`...)
	dst = strconv.AppendInt(dst, d.time, 10)
	dst = append(dst, `,"version":`...)
	dst = strconv.AppendInt(dst, d.version, 10)
	dst = append(dst, `,"revision":`...)
	dst = strconv.AppendUint(dst, d.revision, 10)
	dst = append(dst, `,"desiredRevision":`...)
	dst = strconv.AppendUint(dst, d.desiredAt, 10)
	return append(dst, '}')
}

// room is how much state and metadata take, about.
func (d *Document) room() int { return d.reported.room() + d.desired.room() + 100 }

// appendState writes state and metadata; empty sections are left out.
func (d *Document) appendState(dst []byte) []byte {
	dst = append(dst, `"state":{`...)
	dst = d.appendSections(dst, (*node).appendValue)
	dst = append(dst, `},"metadata":{`...)
	dst = d.appendSections(dst, (*node).appendTimes)
	return append(dst, '}')
}

func (d *Document) appendSections(dst []byte, write func(*node, []byte) []byte) []byte {
	if len(d.reported.kids) > 0 {
		dst = append(dst, `"reported":`...)
		dst = write(&d.reported, dst)
	}
	if len(d.desired.kids) > 0 {
		if len(d.reported.kids) > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `"desired":`...)
		dst = write(&d.desired, dst)
	}
	return dst
}

var errStored = errors.New("shadow: stored document cannot be read")

// Decode reads what Append wrote.
func Decode(stored []byte) (*Document, error) {
	if !gjson.ValidBytes(stored) {
		return nil, errStored
	}
	root := gjson.ParseBytes(stored) // copies: the document keeps parts of it
	d := &Document{
		version: root.Get("version").Int(), revision: root.Get("revision").Uint(),
		desiredAt: root.Get("desiredRevision").Uint(), time: root.Get("timestamp").Int(),
		weight: len(stored),
	}
	for name, section := range map[string]*node{"reported": &d.reported, "desired": &d.desired} {
		if v := root.Get("state." + name); v.IsObject() {
			section.load(v, root.Get("metadata."+name))
		}
	}
	return d, nil
}
