// Package device is the device's end of the conversation: it connects to a
// platform that speaks Alink (a hub of this module, or Alibaba Cloud IoT
// Platform), keeps the connection, posts properties and events, and answers what
// the platform asks.
//
// A Client is made with New, connected with Connect, and from then on reconnects
// by itself until Close. How it reaches the platform is a hal.Transport:
// hal/mqtt for sockets, hal/mem inside a process.
package device
