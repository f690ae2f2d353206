// SPDX-License-Identifier: Apache-2.0

package mqttd

// ring holds the QoS 1 messages in flight, oldest first, so that their
// acknowledgements leave in order. Positions count up and wrap around.
type ring struct {
	slots      []slot // nil until the first message; a power of two
	head, tail uint32
	held       map[uint32][]byte // encoded answers that wait for their turn
}

type slot struct {
	id   uint16
	done bool
}

const firstRing = 8

// len returns how many messages are in flight. The ring may be nil.
func (r *ring) len() uint32 {
	if r == nil {
		return 0
	}
	return r.tail - r.head
}

func (r *ring) at(pos uint32) *slot { return &r.slots[pos&uint32(len(r.slots)-1)] }

// push adds a message and returns its position. The ring must not be full.
func (r *ring) push(id uint16) uint32 {
	if int(r.len()) == len(r.slots) {
		r.grow()
	}
	pos := r.tail
	*r.at(pos) = slot{id: id}
	r.tail++
	return pos
}

func (r *ring) grow() {
	old := *r
	r.slots = make([]slot, max(firstRing, 2*len(old.slots)))
	for pos := old.head; pos != old.tail; pos++ {
		*r.at(pos) = *old.at(pos)
	}
}

// hold keeps encoded answers until the message at pos is acknowledged.
func (r *ring) hold(pos uint32, answers []byte) {
	if r.held == nil {
		r.held = make(map[uint32][]byte)
	}
	r.held[pos] = answers
}

// pop removes the oldest message if it is done, and returns its packet id and
// the answers held for it.
func (r *ring) pop() (id uint16, answers []byte, ok bool) {
	if r.len() == 0 || !r.at(r.head).done {
		return 0, nil, false
	}
	id = r.at(r.head).id
	if r.held != nil {
		answers = r.held[r.head]
		delete(r.held, r.head)
	}
	r.head++
	return id, answers, true
}
