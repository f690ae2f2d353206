// SPDX-License-Identifier: Apache-2.0

// Package modbus brings Modbus devices to a bridge: a Poller reads registers by a
// declarative map to properties, over Modbus TCP or RTU frames over TCP, and
// writes them when the platform sets properties.
//
// The wire is github.com/simonvetter/modbus, whose server is the simulator of the
// tests. The frames the tests look at byte by byte are the examples of the Modbus
// Application Protocol Specification V1.1b3, sections 6.1, 6.3 and 6.6.
package modbus
