// Package mqtt connects devices over MQTT 3.1.1 with the Eclipse Paho client:
// TCP, TLS and WebSocket. It implements hal.Transport.
package mqtt
