// SPDX-License-Identifier: Apache-2.0

package load

import (
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openalink/iot/internal/mqttwire"
)

// burst is how many QoS 0 posts go out in one write.
const burst = 50

// conn is one device.
type conn struct {
	f       *Fleet
	nc      net.Conn
	publish []byte // with packet id 0
	idAt    int
	posts   atomic.Int64
	replies atomic.Int64
	out     []byte
	next    uint16
	sample  []time.Duration
	err     error

	// of a paced run
	mu     sync.Mutex
	sentAt []time.Time // by packet id
	// otherwise: one post in flight is timed
	probe   uint16
	probeAt time.Time
}

func newConn(f *Fleet, nc net.Conn, n int) *conn {
	m := &mqttwire.Publish{Topic: Topic(n), Payload: Post(f.cfg.Payload), QoS: f.cfg.QoS, PacketID: 1}
	c := &conn{f: f, nc: nc, publish: mqttwire.AppendPublish(nil, m)}
	c.idAt = len(c.publish) - len(m.Payload) - 2
	if f.cfg.Rate > 0 {
		c.sentAt = make([]time.Time, 1<<16)
	}
	return c
}

// add appends a post to c.out.
func (c *conn) add() {
	c.out = append(c.out, c.publish...)
	if c.f.cfg.QoS > 0 {
		if c.next++; c.next == 0 {
			c.next = 1
		}
		binary.BigEndian.PutUint16(c.out[len(c.out)-len(c.publish)+c.idAt:], c.next)
	}
}

// one sends a single post of a paced run.
func (c *conn) one() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = c.out[:0]
	c.add()
	c.sentAt[c.next] = time.Now()
	_, _ = c.nc.Write(c.out)
}

func (c *conn) run(deadline time.Time) {
	switch {
	case c.f.cfg.QoS == 0:
		c.flood(deadline)
	case c.f.cfg.Rate > 0:
		c.err = c.receive(deadline.Add(100*time.Millisecond), func(int) error { return nil })
	default:
		if c.err = c.send(c.f.cfg.Window); c.err == nil {
			c.err = c.receive(deadline, c.send)
		}
	}
}

// send writes posts, and times the last one when none is timed.
func (c *conn) send(posts int) error {
	c.out = c.out[:0]
	for range posts {
		c.add()
	}
	if c.probe == 0 {
		c.probe, c.probeAt = c.next, time.Now()
	}
	_, err := c.nc.Write(c.out)
	return err
}

// receive reads until the deadline and calls answered with the number of
// acknowledgements in each read.
func (c *conn) receive(deadline time.Time, answered func(int) error) error {
	_ = c.nc.SetDeadline(deadline)
	in := make([]byte, 0, 1024+max(c.f.cfg.Window, 10)*256)
	for {
		n, err := c.nc.Read(in[len(in):cap(in)])
		if err != nil {
			return err
		}
		in = in[:len(in)+n]
		acks, used := c.parse(in)
		in = in[:copy(in, in[used:])]
		if acks > 0 {
			if err := answered(acks); err != nil {
				return err
			}
		}
	}
}

// parse counts what whole packets there are.
func (c *conn) parse(in []byte) (acks, used int) {
	replies := 0
	for {
		p, n, err := mqttwire.Split(in[used:], cap(in))
		if err != nil || p.First == 0 {
			break
		}
		switch p.Type() {
		case mqttwire.TypePuback:
			acks++
			c.acked(binary.BigEndian.Uint16(p.Body))
		case mqttwire.TypePublish:
			replies++
		}
		used += n
	}
	c.posts.Add(int64(acks))
	c.replies.Add(int64(replies))
	return acks, used
}

// acked notes how long a post took that was timed.
func (c *conn) acked(id uint16) {
	at := c.probeAt
	switch {
	case c.sentAt != nil:
		c.mu.Lock()
		at = c.sentAt[id]
		c.mu.Unlock()
	case id == c.probe:
		c.probe = 0
	default:
		return
	}
	if c.f.measuring.Load() {
		c.sample = append(c.sample, time.Since(at))
	}
}

// flood writes QoS 0 posts and ignores what comes back.
func (c *conn) flood(deadline time.Time) {
	_ = c.nc.SetDeadline(deadline)
	var wg sync.WaitGroup
	wg.Go(func() {
		b := make([]byte, 32<<10)
		for {
			if _, err := c.nc.Read(b); err != nil {
				return
			}
		}
	})
	for range burst {
		c.add()
	}
	for c.err == nil {
		if _, c.err = c.nc.Write(c.out); c.err == nil {
			c.posts.Add(burst)
		}
	}
	wg.Wait()
}
