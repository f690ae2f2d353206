// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"errors"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/topic"
)

// report is a request that waits for a connection. Its topic is made when it
// leaves: before the first Connect nobody knows the device's name.
type report struct {
	path    string
	payload []byte
}

// Report queues values of properties and returns at once; the Client posts them
// with QoS 1, in order, when there is a connection, and repeats those the
// platform did not acknowledge. Each carries the time of the call. It fails with
// ErrQueueFull or ErrClosed. Reports live in memory: Close drops what waits.
func (c *Client) Report(values map[string]any) error {
	now := c.cfg.Clock.Now()
	timed := make(map[string]Timed, len(values))
	for k, v := range values {
		timed[k] = Timed{Value: v, Time: now}
	}
	return c.enqueue("thing/event/property/post", timed)
}

// ReportEvent is Report for an event.
func (c *Client) ReportEvent(identifier string, output any) error {
	return c.enqueue("thing/event/"+identifier+"/post", Timed{Value: output, Time: c.cfg.Clock.Now()})
}

// Waiting returns how many reports wait.
func (c *Client) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue)
}

func (c *Client) enqueue(path string, params any) error {
	_, payload, err := c.envelope(path, params)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return ErrClosed
	case len(c.queue) >= c.cfg.ReportQueue:
		return ErrQueueFull
	}
	c.queue = append(c.queue, report{path, payload})
	c.startReports()
	c.wakeReports()
	return nil
}

// startReports begins sendReports with the first report: a gateway may have
// thousands of sub-devices that never queue one. c.mu is held.
func (c *Client) startReports() {
	if c.kept && !c.closed && !c.reporting && len(c.queue) > 0 {
		c.reporting = true
		c.work.Go(c.sendReports)
	}
}

func (c *Client) wakeReports() {
	select {
	case c.reports <- struct{}{}:
	default:
	}
}

// sendReports works the queue off, one after the other: a report leaves it when
// it is acknowledged.
func (c *Client) sendReports() {
	for {
		r, ok := c.nextReport()
		if !ok {
			select {
			case <-c.reports:
				continue
			case <-c.ctx.Done():
				return
			}
		}
		if c.sendReport(r) {
			c.mu.Lock()
			c.queue = c.queue[1:]
			c.mu.Unlock()
		}
	}
}

// nextReport returns the oldest report, if there is one and a connection.
func (c *Client) nextReport() (report, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil || c.closed || len(c.queue) == 0 {
		return report{}, false
	}
	return c.queue[0], true
}

// sendReport publishes until the acknowledgement, the loss of the connection or
// the end of patience with it.
func (c *Client) sendReport(r report) bool {
	ctx, cancel := context.WithTimeout(c.ctx, callTimeout)
	defer cancel()
	conn, err := c.current()
	if err != nil {
		return false
	}
	m := iot.Message{Topic: topic.Sys(c.Device(), r.path), Payload: r.payload, QoS: iot.AtLeastOnce}
	if err := conn.Publish(ctx, m); err != nil {
		if _, rejected := errors.AsType[*hal.RejectedError](err); rejected && !errors.Is(err, hal.ErrThrottled) {
			c.cfg.Logger.Error("report dropped: the platform does not process it", "topic", m.Topic, "error", err)
			return true // it would never be taken
		}
		select { // the transport says why it is gone; until then there is no point in trying
		case <-conn.Done():
		case <-ctx.Done():
		}
		return false
	}
	return true
}
