// SPDX-License-Identifier: Apache-2.0

// Package bridge brings devices that speak protocols of their own over TCP, UDP
// or anything else to an Alink platform. To the platform a Bridge is one or more
// gateways, and its devices are their sub-devices.
//
// A device is known by its original identity (a serial number, a telephone
// number); Identities says which device of the platform that is. Online opens a
// Session, Publish and PublishAsync send upward, a Downlink takes what comes
// down, Offline ends the session. A Server does the socket's part for TCP and
// UDP: it cuts the stream into messages with a Decoder and hands them to a
// Handler, in the manner of net/http. Ready protocols are in the packages below.
//
// # A protocol of your own
//
// Three things make one, as the example of lines shows whole:
//
//   - a Decoder that cuts messages out of the stream: Split with a function of package
//     bufio, or one of your own; and an Encoder, unless you send []byte or string;
//   - a Handler. It calls Conn.Online with the identity, once the device has told it,
//     and Conn.Publish with Properties or an Event made of a message. Table maps fields
//     to properties;
//   - a Downlink in the SessionOptions, for what the platform wants of the device.
//
// The Handler is called for one message of a connection at a time, and a Downlink for
// one request of a device at a time, beside it. A Downlink that waits for the device's
// answer gets it from the Handler: keep who waits with Conn.SetState, and bound the
// waiting with the context and a time of your own.
//
// Where messages come otherwise, from a serial line, a queue or a poll, no Server is
// needed: NewSession takes any Channel, and Bridge.Online and Bridge.Publish do the
// rest. Package modbus works so.
//
// # What is kept, and what is dropped
//
// Messages wait for the platform in memory, Config.Queue of them for each device,
// in order, and go out at least once. When that is full, PublishAsync waits
// Config.RoomWait for room, which slows the socket the message came from, and
// then drops this newest message: its Result is ErrQueueFull, Stats counts it and
// the Logger hears of it. What waits outlives the device's session as long as
// Config.Linger, so that a device may come back to it. Messages of an identity
// that is not mapped or has no session are dropped the same way, with ErrUnmapped
// and ErrOffline.
//
// # Two with one identity
//
// The later session of an identity wins and the earlier is closed with
// ErrReplaced, after the Authenticator agreed; with Config.Exclusive the later is
// refused with ErrInUse while the earlier lives. A connection has one identity
// for life, and what it publishes after its session ended is dropped. A device that
// another gateway of the platform took over, or that the platform disabled, is closed
// with ErrTaken: it does not fight for its place. A device whose mapping is removed or
// changed is closed with ErrUnmapped at its next message, up or down; what waits still
// goes out as the device it came from, unless it comes back as another before.
package bridge
