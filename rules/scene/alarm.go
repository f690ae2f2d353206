// SPDX-License-Identifier: Apache-2.0

package scene

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/store"
)

// streamAlarms holds the alarms, each under the ID of its scene.
const streamAlarms = "rules.alarms"

// Alarm is what an action of the type raised.
type Alarm struct {
	Time time.Time `json:"time"` // when it was raised
	// Key is the same when the alarm is raised again because an at-least-once run was
	// repeated after a crash.
	Key   string `json:"key"`
	Scene string `json:"scene"`
	Level string `json:"level,omitempty"`
	Text  string `json:"text"`
	// By is the topic of the message that triggered, "time" or "hand".
	By        string       `json:"by"`
	Device    iot.DeviceID `json:"device,omitzero"` // that triggered
	MessageID int64        `json:"messageId,omitempty,string"`
}

// raise keeps an alarm and tells of it.
func (s *Set) raise(ctx context.Context, a Alarm) error {
	value, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("scene: alarm: %w", err)
	}
	var b store.Batch
	b.Append(streamAlarms, a.Scene, a.Time, value)
	if err := store.Commit(ctx, s.config.Store, &b); err != nil {
		return fmt.Errorf("scene: alarm: %w", err)
	}
	if s.config.OnAlarm != nil {
		s.config.OnAlarm(a)
	}
	return nil
}

// Alarms yields the alarms of a scene, or of all for an empty id, since a time,
// oldest first. Alarms of a scene that was removed stay.
func (s *Set) Alarms(ctx context.Context, id string, since time.Time) iter.Seq2[Alarm, error] {
	records := s.config.Store.Read(ctx, streamAlarms, 0)
	if id != "" {
		records = s.config.Store.ReadKey(ctx, streamAlarms, id, 0, since, time.Time{})
	}
	return func(yield func(Alarm, error) bool) {
		for rec, err := range records {
			var a Alarm
			if err == nil && rec.Time.Before(since) {
				continue
			}
			if err == nil {
				err = json.Unmarshal(rec.Value, &a)
			}
			if !yield(a, err) || err != nil {
				return
			}
		}
	}
}

// Trim removes alarms older than before.
func (s *Set) Trim(ctx context.Context, before time.Time) error {
	return s.config.Store.Trim(ctx, streamAlarms, before)
}
