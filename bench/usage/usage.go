// SPDX-License-Identifier: Apache-2.0

// Package usage is what a measured server says about itself.
package usage

import (
	"time"

	"github.com/openalink/iot/store/bolt"
)

// Snapshot is what a server has used since it started.
type Snapshot struct {
	Addr     string // where it listens
	At       time.Duration
	CPU      time.Duration // user and system
	Messages int64         // counted at the hook of the front door or the broker
	RSS      int64         // bytes
	Written  int64         // bytes sent to disks
	Rows     int64         // that a rule wrote
	Store    bolt.Stats

	Mallocs uint64
	Tiny    uint64 // those of Mallocs that share a block with others
	// Those of Mallocs that are not tiny, by who made them. See Profile.
	StoreMallocs, AboveMallocs uint64
}

// Since returns what was used between the earlier snapshot and s. RSS is a
// difference too.
func (s Snapshot) Since(before Snapshot) Snapshot {
	s.At -= before.At
	s.CPU -= before.CPU
	s.Mallocs -= before.Mallocs
	s.Tiny -= before.Tiny
	s.StoreMallocs -= before.StoreMallocs
	s.AboveMallocs -= before.AboveMallocs
	s.Messages -= before.Messages
	s.RSS -= before.RSS
	s.Written -= before.Written
	s.Rows -= before.Rows
	s.Store.Groups -= before.Store.Groups
	s.Store.Batches -= before.Store.Batches
	s.Store.Writes -= before.Store.Writes
	s.Store.Appends -= before.Store.Appends
	s.Store.CommitTime -= before.Store.CommitTime
	return s
}

// Cores is how many processors were busy on average.
func (s Snapshot) Cores() float64 { return s.CPU.Seconds() / s.At.Seconds() }
