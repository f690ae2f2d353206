// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"log/slog"
	"runtime"
	"strconv"
	"time"
)

// Options are the settings of Open. The zero value is a good choice.
type Options struct {
	// Pace is the least time between two groups under load. 0 means 2 ms, less than 0
	// none. A longer pace writes fewer bytes for each
	// operation and adds to the latency of a busy store.
	Pace time.Duration
	// MaxQueue is how many operations (writes, appends) may wait for a commit
	// before Submit blocks; 0 means 16384. A value counts once more for each
	// 4 KiB it has. One batch may exceed it.
	MaxQueue int
	// Logger hears of a slow opening and of failures. Nil discards.
	Logger *slog.Logger

	segmentRecords int // records of a segment; set by tests only
	segmentBytes   int // bytes of a segment
}

const (
	// MaxValue is the largest value of a key or record, in bytes.
	MaxValue = 16 << 20

	pageSize  = 4096 // larger pages write more bytes at low load
	readyOps  = 256  // a group of so many does not wait for its pace
	readChunk = 64 << 10
)

func (o Options) withDefaults() Options {
	if o.Pace == 0 {
		o.Pace = 2 * time.Millisecond
	}
	if o.MaxQueue <= 0 {
		o.MaxQueue = 16384
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.segmentRecords == 0 {
		o.segmentRecords = 8192
	}
	if o.segmentBytes == 0 {
		o.segmentBytes = 16 << 20
	}
	return o
}

// mapSize is the address space the file is mapped into from the start. When the
// file outgrows it, it is mapped anew, which waits for readers. It costs no
// memory, but Windows makes the file as large at once, and 32-bit programs have
// no addresses to spare.
func mapSize() int {
	switch {
	case runtime.GOOS == "windows":
		return 0
	case strconv.IntSize == 32:
		return 64 << 20
	}
	return 1 << (strconv.IntSize / 2) // 4 GiB
}

// growSize is how much the file grows at a time. Growing costs a sync; the new
// part is a hole until it is used.
func growSize() int {
	if strconv.IntSize == 32 || runtime.GOOS == "windows" {
		return 8 << 20
	}
	return 64 << 20
}
