// SPDX-License-Identifier: Apache-2.0

package coap

import (
	"strings"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/udp/coder"
)

// Option numbers of this protocol (wire facts section 1 row 32).
const (
	optionToken    message.OptionID = 2088
	optionTokenOld message.OptionID = 61
	optionSeq      message.OptionID = 2089
)

const (
	formatJSON = 50
	formatCBOR = 60
)

// maxOptions is how many options a message may have.
const maxOptions = 32

// request is what a message asks. Its slices are parts of the datagram.
type request struct {
	typ     message.Type
	id      uint16
	token   message.Token // of CoAP: goes back with the response
	post    bool
	path    string // begins with a slash; empty for none
	login   []byte // the token of the login
	seq     []byte
	format  int   // Content-Format, -1 for none
	accept  int   // -1 for none
	blocks  bool  // comes in several
	block2  block // of the answer that is wanted
	unknown bool  // a critical option that is not known
	payload []byte
}

// parseRequest reads a datagram. ok is false for what is not a request; what is
// then wrong with it (a ping, rubbish) is in the header, see headerOf. space is free
// again when it returns.
func parseRequest(datagram []byte, space *[maxOptions]message.Option) (r request, ok bool) {
	m := message.Message{Options: space[:0]}
	if _, err := coder.DefaultCoder.Decode(datagram, &m); err != nil {
		return r, false
	}
	if m.Code == codes.Empty || m.Code > 31 || m.Type != message.Confirmable && m.Type != message.NonConfirmable {
		return r, false
	}
	r = request{typ: m.Type, id: uint16(m.MessageID), token: m.Token, post: m.Code == codes.POST, format: -1, accept: -1, block2: block{exp: sizeExp}, payload: m.Payload}
	var path strings.Builder
	for _, o := range m.Options {
		r.option(&path, o)
	}
	r.path = path.String()
	return r, true
}

func (r *request) option(path *strings.Builder, o message.Option) {
	switch o.ID {
	case message.URIPath:
		path.WriteByte('/')
		path.Write(o.Value)
	case optionToken:
		r.login = o.Value
	case optionTokenOld:
		if r.login == nil {
			r.login = o.Value
		}
	case optionSeq:
		r.seq = o.Value
	case message.ContentFormat:
		r.format = number(o.Value)
	case message.Accept:
		r.accept = number(o.Value)
	case message.Block1:
		r.blocks = r.blocks || number(o.Value)>>3 != 0 // not the first, or more to come
	case message.Block2:
		if n := number(o.Value); n >= 0 {
			r.block2 = blockOf(n)
		}
	case message.URIHost, message.URIPort, message.URIQuery:
	default:
		r.unknown = r.unknown || o.ID&1 == 1 // RFC 7252 section 5.4.6
	}
}

// number reads an option of the format uint; -1 when it is longer than any number
// of this protocol.
func number(b []byte) int {
	if len(b) > 3 {
		return -1
	}
	n := 0
	for _, c := range b {
		n = n<<8 | int(c)
	}
	return n
}

// header is the first four bytes of a message.
type header struct {
	typ  message.Type
	code byte
	id   uint16
}

// headerOf reads the header of a datagram that may be wrong behind it.
func headerOf(b []byte) (h header, ok bool) {
	if len(b) < 4 || b[0]>>6 != 1 {
		return h, false
	}
	return header{message.Type(b[0] >> 4 & 3), b[1], uint16(b[2])<<8 | uint16(b[3])}, true
}

// reset answers what cannot be answered otherwise, and pings (RFC 7252 section
// 4.2).
func reset(id uint16) []byte {
	return []byte{1<<6 | byte(message.Reset)<<4, 0, byte(id >> 8), byte(id)}
}

// response is what answers a request.
type response struct {
	code    Code
	format  int // -1 for none
	block   int // the option Block2, -1 for none
	payload []byte
}

// append appends the response to r as a datagram. id is the number of a message of
// its own, when the request needs no acknowledgement.
func (a *response) append(dst []byte, r *request, id uint16) []byte {
	typ := message.Acknowledgement
	if r.typ == message.NonConfirmable {
		typ = message.NonConfirmable
	} else {
		id = r.id
	}
	dst = append(dst, 1<<6|byte(typ)<<4|byte(len(r.token)), byte(a.code), byte(id>>8), byte(id))
	dst = append(dst, r.token...)
	if a.format >= 0 {
		dst = append(dst, byte(message.ContentFormat)<<4|1, byte(a.format))
	}
	if a.block >= 0 {
		delta := byte(message.Block2 - message.ContentFormat) // behind the other
		dst = append(dst, delta<<4|3, byte(a.block>>16), byte(a.block>>8), byte(a.block))
	}
	if len(a.payload) > 0 {
		dst = append(append(dst, 0xff), a.payload...)
	}
	return dst
}
