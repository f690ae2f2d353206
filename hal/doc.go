// Package hal holds the seams between this module and the world.
//
// On the platform's side everything that lets devices in (the MQTT front door
// hal/mqttd, somebody else's broker, HTTP, CoAP, an in-memory pipe) is a
// listener: it calls an Access for every connection and gives the platform a
// Link to it. Package hub implements Access; whoever owns a broker writes the
// other half. hal/haltest is the contract both keep.
//
// On the device's side Transport reaches a platform, and Net, Clock, Slot and
// Identities stand for what a board may have to provide itself. A nil seam
// means the operating system.
//
// Interfaces here have one to three methods and never grow: a further ability
// is a further interface, found by type assertion.
package hal
