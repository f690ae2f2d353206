// SPDX-License-Identifier: Apache-2.0

package mochi

import (
	"net"

	"github.com/mochi-mqtt/server/v2/listeners"
)

// Wrap makes a listener of mochi's, or of your own, one for devices. Add what it
// returns to the server instead.
//
// A listener for WebSockets shows neither the TLS state nor the client's
// certificate, so the platform does not see them.
func (g *Guard) Wrap(l listeners.Listener) listeners.Listener { return &listener{l, g} }

// listener hands connections to mochi through the guard.
type listener struct {
	listeners.Listener
	g *Guard
}

func (l *listener) Serve(establish listeners.EstablishFn) {
	l.Listener.Serve(func(id string, nc net.Conn) error { return l.g.serve(id, nc, establish) })
}

// Close ends the devices' connections first: mochi knows only those that are
// logged in, and would wait for the others for ever.
func (l *listener) Close(listeners.CloseFn) {
	l.g.closeAll()
	l.Listener.Close(func(string) {})
}
