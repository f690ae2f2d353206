// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/store"
	"github.com/openalink/iot/store/mem"
)

// heldStore commits only while gate is nil or after it was closed.
type heldStore struct {
	store.Engine
	gate chan struct{}
}

func (s *heldStore) Submit(ctx context.Context, b *store.Batch, done func(error)) error {
	if s.gate != nil {
		<-s.gate
	}
	return s.Engine.Submit(ctx, b, done)
}

func TestPresenceIsOneMoment(t *testing.T) {
	held := &heldStore{Engine: mem.New()}
	bubble(t, hub.Config{Store: held}, func(t *testing.T, p *platform) {
		d := p.register("lamp-1")
		c := p.connect(d)
		want := func(state hub.State, cause hal.Cause) {
			t.Helper()
			got, err := p.hub.Presence(t.Context(), d.ID)
			if err != nil || got.State != state || got.Last.Cause != cause || got.Last.Online != (state == hub.Online) {
				t.Errorf("presence %+v (%v), want %s with cause %q", got, err, state, cause)
			}
		}
		want(hub.Online, "")
		synctest.Wait()
		held.gate = make(chan struct{})
		c.session.Close(hal.CauseClient)
		synctest.Wait()
		want(hub.Online, "") // the end is not durable yet
		close(held.gate)
		synctest.Wait()
		want(hub.Offline, hal.CauseClient)
	})
}
