// SPDX-License-Identifier: Apache-2.0

// Package thermostat is the typed Go of the model beside it: the device end, the
// application end, and the types both use.
package thermostat

//go:generate go run github.com/openalink/iot/tsl/tslgen -in model.json -pkg thermostat
