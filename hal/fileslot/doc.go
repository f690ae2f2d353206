// SPDX-License-Identifier: Apache-2.0

// Package fileslot keeps small values and firmware images in folders: hal.Slot
// and hal.FirmwareSlot over os.Root, for devices with a file system. A folder
// belongs to one process at a time. Everything is safe against power cuts as far
// as the file system keeps the promises of fsync and rename.
package fileslot
