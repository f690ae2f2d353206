// SPDX-License-Identifier: Apache-2.0

// Package tsl is the room of the thing model: TSL documents, the validators and
// typed code made from them. It is empty until the thing model arrives; hubs keep
// properties and events of any shape until then.
package tsl
