// Package provision imports products and devices into a hub from a file, so that
// a fleet can be moved with its secrets. Importing is idempotent: what is there
// already is left as it is, and a file can be applied again after a failure.
package provision
