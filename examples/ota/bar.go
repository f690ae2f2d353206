// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/ota"
)

// watch shows a campaign until it is over and no device is at work. On a
// terminal it draws over one line; elsewhere it writes a line a change.
func (p *platform) watch(ctx context.Context, id string) (hub.Campaign, error) {
	file, _ := p.out.(*os.File)
	terminal := file != nil && isTerminal(file)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	last := ""
	for {
		c, err := p.hub.Campaign(ctx, id)
		if err != nil {
			return c, err
		}
		line := bar(c)
		switch {
		case line == last:
		case terminal:
			fmt.Fprintf(p.out, "\r%s", line)
		default:
			fmt.Fprintln(p.out, line)
		}
		last = line
		open := c.Stats.Notified + c.Stats.Downloading + c.Stats.Installing
		if (c.Status == ota.Completed || c.Status == ota.Aborted) && open == 0 {
			if terminal {
				fmt.Fprintln(p.out)
			}
			return c, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return c, ctx.Err()
		}
	}
}

// bar draws a device as a letter: # done, > at work, x failed, - cancelled.
func bar(c hub.Campaign) string {
	s := c.Stats
	work := s.Notified + s.Downloading + s.Installing
	return fmt.Sprintf("%s [%s%s%s%s%s] stage %d, %2d done, %2d at work, %2d failed", c.Plan.Version,
		strings.Repeat("#", s.Succeeded), strings.Repeat("x", s.Failed+s.TimedOut), strings.Repeat(">", work),
		strings.Repeat("-", s.Cancelled), strings.Repeat(".", s.Pending), s.Stage, s.Succeeded, work, s.Failed+s.TimedOut)
}

func isTerminal(f *os.File) bool {
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}
