// SPDX-License-Identifier: Apache-2.0

// Package tsl is the thing model: what properties, events and services the devices
// of a product have (wire facts section 17).
//
// Parse reads a TSL document and checks it, Join adds function blocks. Compile
// makes a Validator, which judges what devices send from the raw bytes; Evolve
// tells what a new version of a model means for those who know the old one; the
// Schema methods write JSON Schemas for others; tslgen writes Go.
package tsl
