// Package alink speaks the message envelope of Alink: requests, replies, their
// codes, the catalogue of methods, and what both ends need around them.
//
// Parse is the one strict parser for everything that comes in; AppendReply and
// AppendCall write what even the simplest device parser can read. A Mux hands
// requests to handlers by their topic, as net/http does by path. Calls pairs the
// requests one end sends with the answers that come back.
//
// EachProperty, EventParams, EachElement and ParseSigned read what stands in
// params, with the leniency real devices need.
//
// Byte slices and strings of a Message are parts of the payload it was parsed
// from and live as long as it does.
//
// Sources: wire facts, sections 1, 9 to 12, 15 and 21.
package alink
