// SPDX-License-Identifier: Apache-2.0

package load

import "net"

// Crowd are connections that do nothing.
type Crowd struct {
	cfg   Config
	conns []net.Conn
}

// NewCrowd returns a crowd that is not connected yet.
func NewCrowd(cfg Config) *Crowd { return &Crowd{cfg: cfg, conns: make([]net.Conn, cfg.Conns)} }

// Reconnect ends all connections there are and then opens all anew, many at the
// same time, as after a failure of the network.
func (c *Crowd) Reconnect() error {
	c.Close()
	return each(len(c.conns), 64, func(i int) (err error) {
		c.conns[i], err = Connect(c.cfg.Addr, Login(c.cfg.device(i)), c.cfg.TLS)
		return err
	})
}

// Close hangs up.
func (c *Crowd) Close() {
	for i, nc := range c.conns {
		if nc != nil {
			_ = nc.Close()
			c.conns[i] = nil
		}
	}
}
