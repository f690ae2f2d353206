// Package auth holds the credentials of devices and how they are signed and
// checked, for both ends of the wire. It uses the standard library only.
package auth
