// Package hub is the embeddable platform: a registry of products and devices,
// sessions and presence, the handlers of what devices say, calls and messages
// down to them, and the logs of all of it.
//
// A Hub implements hal.Access, so any listener can bring devices in: hal/mqttd
// over MQTT, hal/mem inside a process. Its state lives in a store.Engine.
// Everything an uplink changes is committed together with its place in the
// message log before it is acknowledged.
package hub
