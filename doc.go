// Package iot holds the few words every other package of this module shares:
// the name of a device, a message on its way, and its delivery guarantee.
//
// The module builds IoT platforms that speak Alink, the device protocol of
// Alibaba Cloud IoT Platform, for both ends of the wire. Start with package
// hub (an embeddable platform), package device (the other end) or package
// iottest (a whole platform inside go test). DESIGN.md describes the layers.
//
// Nothing in this module reads configuration files or environment variables,
// keeps global state, or does work in init functions. Any number of hubs and
// devices live in one process.
package iot
