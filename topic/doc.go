// Package topic knows the names devices and platform talk through: it parses
// and builds them, matches filters, and decides which of them a device may use.
package topic
