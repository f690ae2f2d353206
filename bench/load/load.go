// SPDX-License-Identifier: Apache-2.0

// Package load makes MQTT traffic: many connections of devices that post
// properties as fast as their window allows, or at a given rate.
package load

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/internal/mqttwire"
)

// Config says what to send.
type Config struct {
	Addr    string
	Conns   int
	First   int // number of the first device
	Window  int // QoS 1 posts in flight on a connection
	QoS     byte
	Payload int // bytes of a post
	Rate    int // posts a second over all connections; 0 is as fast as possible
	Time    time.Duration
}

// Result is what came of it.
type Result struct {
	Posts   int64
	Replies int64
	Elapsed time.Duration
	// P50 and P99 are the time from a post to its PUBACK, of a sample.
	P50, P99 time.Duration
}

// PerSecond is the rate of posts.
func (r Result) PerSecond() float64 { return float64(r.Posts) / r.Elapsed.Seconds() }

// Product and Secret are what a server under load knows its devices by.
const (
	Product = "a1Load0001"
	Secret  = "0123456789abcdef0123456789abcdef"
)

// Device names a device of the load.
func Device(n int) iot.DeviceID { return iot.DeviceID{Product: Product, Name: fmt.Sprintf("dn%06d", n)} }

// Post makes a property post of about size bytes: ten properties of the common
// types.
func Post(size int) []byte {
	p := []byte(`{"id":"123","version":"1.0","params":{"Power":1,"Temperature":21.5,"Humidity":48.25,"Mode":2,"Level":75,` +
		`"Voltage":{"value":230.1,"time":1524448722000},"Position":{"lat":31.2304,"lon":121.4737},"History":[1,2,3,4,5,6,7,8],"Name":"kitchen","Note":"`)
	tail := `"},"method":"thing.event.property.post"}`
	if n := size - len(p) - len(tail); n > 0 {
		p = append(p, strings.Repeat("x", n)...)
	}
	return append(p, tail...)
}

// Login returns the CONNECT of a device.
func Login(n int) []byte {
	id := Device(n)
	tr := auth.SignMQTT(id, auth.NewSecret(Secret), auth.MQTTOptions{SecureMode: 3, ServerSubscribe: true})
	return mqttwire.AppendConnect(nil, &mqttwire.Connect{
		Level: mqttwire.Level311, ClientID: tr.ClientID, HasUserName: true, UserName: tr.UserName,
		HasPassword: true, Password: []byte(tr.Password.Reveal()), KeepAlive: 1200, CleanSession: true,
	})
}

// Connect opens a connection of device n and waits for the CONNACK.
func Connect(addr string, n int) (net.Conn, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	if _, err := nc.Write(Login(n)); err != nil {
		return nil, err
	}
	var ack [4]byte
	if _, err := readFull(nc, ack[:]); err != nil {
		return nil, err
	}
	if ack[0] != 0x20 || ack[3] != 0 {
		return nil, fmt.Errorf("load: device %d refused: %x", n, ack)
	}
	return nc, nil
}

func readFull(nc net.Conn, b []byte) (int, error) {
	n := 0
	for n < len(b) {
		m, err := nc.Read(b[n:])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// Run connects all devices, posts for the given time and returns what was
// acknowledged (QoS 1) or written (QoS 0).
func Run(ctx context.Context, cfg Config) (Result, error) {
	conns := make([]*conn, cfg.Conns)
	var wg sync.WaitGroup
	errs := make(chan error, cfg.Conns)
	free := make(chan struct{}, 64)
	for i := range conns {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			nc, err := Connect(cfg.Addr, cfg.First+i)
			if err != nil {
				errs <- err
				return
			}
			conns[i] = newConn(nc, cfg.First+i, cfg)
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return Result{}, err
	default:
	}
	start := time.Now()
	deadline := start.Add(cfg.Time)
	for _, c := range conns {
		wg.Go(func() { c.run(deadline) })
	}
	if cfg.Rate > 0 {
		wg.Go(func() { pace(conns, cfg.Rate, deadline) })
	}
	wg.Wait()
	r := Result{Elapsed: time.Since(start)}
	var sample []time.Duration
	for _, c := range conns {
		r.Posts += c.posts.Load()
		r.Replies += c.replies
		sample = append(sample, c.sample...)
		if c.err != nil && !errors.Is(c.err, net.ErrClosed) {
			return r, c.err
		}
	}
	if slices.Sort(sample); len(sample) > 0 {
		r.P50, r.P99 = sample[len(sample)/2], sample[len(sample)*99/100]
	}
	return r, nil
}

// pace sends single posts at a fixed rate, in steps of a millisecond.
func pace(conns []*conn, rate int, deadline time.Time) {
	start, sent := time.Now(), 0
	for now := start; now.Before(deadline); now = time.Now() {
		for due := int(now.Sub(start).Seconds() * float64(rate)); sent < due; sent++ {
			conns[sent%len(conns)].one()
		}
		time.Sleep(time.Millisecond)
	}
}

type conn struct {
	nc      net.Conn
	cfg     Config
	publish []byte // with packet id 0
	idAt    int
	posts   atomic.Int64
	replies int64
	mu      sync.Mutex
	next    uint16
	sentAt  []time.Time // by packet id, paced runs only; of a sample otherwise
	sample  []time.Duration
	probe   uint16
	probeAt time.Time
	err     error
}

func newConn(nc net.Conn, n int, cfg Config) *conn {
	name := "/sys/" + Device(n).String() + "/thing/event/property/post"
	m := &mqttwire.Publish{Topic: name, Payload: Post(cfg.Payload), QoS: cfg.QoS, PacketID: 1}
	c := &conn{nc: nc, cfg: cfg, publish: mqttwire.AppendPublish(nil, m)}
	c.idAt = len(c.publish) - len(m.Payload) - 2
	if cfg.Rate > 0 {
		c.sentAt = make([]time.Time, 1<<16)
	}
	return c
}

func (c *conn) append(out []byte) []byte {
	out = append(out, c.publish...)
	if c.cfg.QoS > 0 {
		if c.next++; c.next == 0 {
			c.next = 1
		}
		binary.BigEndian.PutUint16(out[len(out)-len(c.publish)+c.idAt:], c.next)
	}
	return out
}

// one sends a single post of a paced run.
func (c *conn) one() {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.append(nil)
	c.sentAt[c.next] = time.Now()
	_, _ = c.nc.Write(out)
}

func (c *conn) run(deadline time.Time) {
	defer c.nc.Close()
	if c.cfg.QoS == 0 {
		c.flood(deadline)
		return
	}
	if c.cfg.Rate > 0 {
		deadline = deadline.Add(100 * time.Millisecond)
	}
	_ = c.nc.SetDeadline(deadline)
	in := make([]byte, 0, 64<<10)
	var out []byte
	if c.cfg.Rate == 0 {
		for range c.cfg.Window {
			out = c.append(out)
		}
		c.probe, c.probeAt = c.next, time.Now()
		if _, c.err = c.nc.Write(out); c.err != nil {
			return
		}
	}
	for {
		n, err := c.nc.Read(in[len(in):cap(in)])
		if err != nil {
			if ne, ok := err.(net.Error); !ok || !ne.Timeout() {
				c.err = err
			}
			return
		}
		in = in[:len(in)+n]
		acks, used := c.parse(in)
		in = in[:copy(in, in[used:])]
		if c.cfg.Rate > 0 || acks == 0 {
			continue
		}
		out = out[:0]
		for range acks {
			out = c.append(out)
		}
		if c.probe == 0 {
			c.probe, c.probeAt = c.next, time.Now()
		}
		if _, err := c.nc.Write(out); err != nil {
			return
		}
	}
}

// parse counts what whole packets there are.
func (c *conn) parse(in []byte) (acks, used int) {
	for {
		b := in[used:]
		if len(b) < 2 {
			return acks, used
		}
		n, i := 0, 1
		for sh := 0; ; sh += 7 {
			if i >= len(b) {
				return acks, used
			}
			d := b[i]
			i++
			n |= int(d&127) << sh
			if d&128 == 0 {
				break
			}
		}
		if len(b) < i+n {
			return acks, used
		}
		switch b[0] >> 4 {
		case 4:
			acks++
			c.posts.Add(1)
			c.acked(binary.BigEndian.Uint16(b[i:]))
		case 3:
			c.replies++
		}
		used += i + n
	}
}

func (c *conn) acked(id uint16) {
	if c.sentAt != nil {
		c.mu.Lock()
		at := c.sentAt[id]
		c.mu.Unlock()
		c.sample = append(c.sample, time.Since(at))
		return
	}
	if id == c.probe {
		c.sample = append(c.sample, time.Since(c.probeAt))
		c.probe = 0
	}
}

func (c *conn) flood(deadline time.Time) {
	_ = c.nc.SetDeadline(deadline)
	go func() { // replies, if any
		b := make([]byte, 32<<10)
		for {
			if _, err := c.nc.Read(b); err != nil {
				return
			}
		}
	}()
	var out []byte
	for range 50 {
		out = c.append(out)
	}
	for {
		if _, err := c.nc.Write(out); err != nil {
			return
		}
		c.posts.Add(50)
	}
}

// String renders a result for people.
func (r Result) String() string {
	return strconv.FormatFloat(r.PerSecond(), 'f', 0, 64) + " posts/s, replies " + strconv.FormatInt(r.Replies, 10) +
		", p50 " + r.P50.String() + ", p99 " + r.P99.String()
}
