// SPDX-License-Identifier: Apache-2.0

package webhook

// judge logs a denied login and passes its error on. Passwords are not in it.
func (s *Server) judge(l *login, err error) error {
	if err != nil {
		s.cfg.Logger.Info("client refused", "broker", l.kind.name, "client", clip(l.clientID), "user", clip(l.user), "err", err)
	}
	return err
}

func (s *Server) judgeAccess(a *access, err error) error {
	if err != nil {
		s.cfg.Logger.Debug("access denied", "client", clip(a.clientID), "op", a.op, "topic", clip(a.topic), "err", err)
	}
	return err
}

// clip shortens a name for logs.
func clip(name string) string {
	const longest = 128
	return name[:min(len(name), longest)]
}
