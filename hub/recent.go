// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"sync"
	"time"
)

// How long, and how many, devices stay in memory that asked a moment ago. A
// minute is the longest window of their rates.
const (
	recentWindow = time.Minute
	maxRecent    = 10_000
)

// recent keeps devices in memory that speak by requests, or were connected a moment
// ago: loading one for each would cost reads, and forget its rates. It has no
// goroutine: those whose time is over go when another comes. Its mutex is a leaf.
type recent struct {
	mu   sync.Mutex
	list []recentDevice // longest kept first
}

type recentDevice struct {
	d  *device
	at int64
}

// linger takes over the caller's reference to d, for a while.
func (h *Hub) linger(d *device) {
	now := time.Now().UnixNano()
	d.asked.Store(now)
	if !d.kept.CompareAndSwap(false, true) {
		h.release(d)
		return
	}
	for _, old := range h.recent.add(d, now) {
		h.release(old)
	}
}

// goodbye gives back the reference of a session that ended. Where logins a minute are
// counted the device stays for that minute.
func (h *Hub) goodbye(d *device) {
	if h.limits.ConnectsPerMinute > 0 {
		h.linger(d)
		return
	}
	h.release(d)
}

// add returns the devices that are not kept any more.
func (r *recent) add(d *device, now int64) (dropped []*device) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, recentDevice{d, now})
	oldest := now - int64(recentWindow)
	for len(r.list) > maxRecent || r.list[0].at < oldest {
		first := r.list[0].d
		r.list = r.list[1:]
		if at := first.asked.Load(); at >= oldest && len(r.list) < maxRecent {
			r.list = append(r.list, recentDevice{first, at})
			continue
		}
		first.kept.Store(false)
		dropped = append(dropped, first)
	}
	return dropped
}
