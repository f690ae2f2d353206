// Package auth holds the credentials of devices and how they are signed and
// checked, for both ends of the wire. It uses the standard library only.
//
// A platform reads a login with ParseClientID and ParseUserName, finds the
// device's secret in a SecretSource and asks ClientID.Verify. A device makes its
// login with SignMQTT. Everything else that is signed (registration, topology,
// sub-device logins, HTTP and CoAP logins) signs sorted parameters: Sign and
// VerifySign.
//
// A Secret never prints: whatever formats, logs or encodes it shows "***".
//
// Sources: wire facts, sections 1 (rows 10 to 16 and 46), 3.2, 4, 5 and 23.
package auth
