// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"

	iot "github.com/openalink/iot"
)

// stranger reports a message that was dropped.
func (s *Server) stranger(id iot.DeviceID, unknown bool) {
	s.cfg.Logger.Debug("message dropped", "device", id, "unknown", unknown)
	if !unknown || s.cfg.Stranger == nil || id.Name == "" || !s.telling.CompareAndSwap(false, true) {
		return
	}
	id = iot.DeviceID{Product: clone(id.Product), Name: clone(id.Name)}
	started := s.run(func() {
		defer s.telling.Store(false)
		ctx, cancel := context.WithTimeout(s.base, s.cfg.Timeout)
		defer cancel()
		if err := s.cfg.Stranger(ctx, id); err != nil {
			s.cfg.Logger.Warn("device that is not logged in stays connected", "device", id, "err", err)
		}
	})
	if !started {
		s.telling.Store(false)
	}
}
