// SPDX-License-Identifier: Apache-2.0

// Package mqttd is the MQTT 3.1 and 3.1.1 front door of a platform: it lets
// devices in over TCP, TLS, WebSocket and whatever else is a net.Conn, and
// hands what they say to a hal.Access. It is no broker: there is no routing
// between clients, no will, no retained message and no QoS 2, and it keeps no
// subscriptions and no queue of its own.
//
// # How a connection is served
//
// A goroutine of its own does the handshake (TLS, CONNECT, Access.Connect); a
// fresh one with a small stack then reads for the rest of the connection's
// life. It hands every message to Session.Receive at once and does not wait for
// what becomes of it: acknowledgements leave in the order the messages came,
// as soon as the platform is done with them. At most Accepted.MaxUnacked QoS 1
// messages are in flight; with that many, or when the client does not take
// what is sent, the connection is not read.
//
// There is no goroutine for writing. What becomes ready while the read loop
// parses goes out in one system call at the end of the batch; everything else
// goes through a shared flusher that never blocks. Only for a client whose
// kernel buffer is full, and for transports that cannot write without blocking
// (TLS, WebSocket, pipes), a goroutine lives as long as there is something to
// write.
//
// Messages are not copied. They point into a buffer that is held until their
// done was called. An idle plain TCP connection holds no buffer at all.
//
// # Wills, retained messages and QoS 2
//
// A will is read, reported in ConnectRequest.Will and forgotten. The RETAIN
// flag is ignored. A PUBLISH with QoS 2 ends the connection; a SUBSCRIBE with
// QoS 2 is passed on and the platform grants what it has.
package mqttd
