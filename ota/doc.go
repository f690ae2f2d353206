// SPDX-License-Identifier: Apache-2.0

// Package ota is the room of firmware updates and remote configuration. It is
// empty until they arrive; hubs keep what devices inform of in the message log.
package ota
