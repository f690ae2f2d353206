// Package topic knows the names devices and platform talk through: it parses
// and builds them, matches filters, and decides which of them a device may use.
//
// Parse splits a name into its Family, the device it names and the path below
// it. The builders (Sys, OTA, Shadow, Ext, Custom, Broadcast, RRPC) go the other
// way. Match and Trie apply the filters of MQTT 3.1.1 section 4.7. An ACL, made
// from a product's topic classes, lets a device use its own topics and nothing
// else.
//
// Names that reach this package may be views of a socket's buffer: nothing here
// keeps one, except Trie, which copies what it keeps. Parsing, matching and
// every allowing decision of an ACL allocate nothing.
package topic
