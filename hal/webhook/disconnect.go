// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"errors"
	"io"
	"syscall"

	paho "github.com/eclipse/paho.mqtt.golang"
)

var errNoConsumer = errors.New("webhook: no consumer is connected to the broker")

// Disconnect has the broker close a client's connection, as every broker does that
// speaks MQTT: the consumer's account connects with the client's id for a moment,
// and takes over. It needs a consumer that is connected. The client may come back
// at once; who is let in then, the platform decides.
func (s *Server) Disconnect(ctx context.Context, clientID string) error {
	s.mu.Lock()
	cfg := s.account
	s.mu.Unlock()
	if cfg == nil {
		return errNoConsumer
	}
	o := paho.NewClientOptions().AddBroker(cfg.URL).SetClientID(clientID).
		SetUsername(cfg.UserName).SetPassword(cfg.Password.Reveal()).
		SetCleanSession(false).SetAutoAckDisabled(true). // what waits for the client there is not ours
		SetProtocolVersion(4).SetConnectTimeout(s.cfg.Timeout).SetAutoReconnect(false).SetConnectRetry(false)
	if cfg.TLS != nil {
		o.SetTLSConfig(cfg.TLS)
	}
	client := paho.NewClient(o)
	defer client.Disconnect(goodbye)
	s.mu.Lock()
	s.owe(clientID) // its own end will be announced, too, and who comes back may end it
	s.mu.Unlock()
	token := client.Connect()
	select {
	case <-token.Done():
	case <-ctx.Done():
		return ctx.Err() // it may be connected by now
	}
	err := token.Error()
	if brokenOff(err) { // it may have been connected, and be announced
		return nil
	}
	if err != nil {
		s.paid(clientID)
	}
	return err
}

// brokenOff reports whether the broker closed the connection instead of an answer: a
// client that came back at once took it over again, or the broker is RabbitMQ.
// RabbitMQ cannot go on with a clean session as one that is not: it closes the
// client's connection, finds the client's queue, and breaks off. Asking again could
// end the connection of a client that came back meanwhile, of which RabbitMQ tells
// nothing; and a login cannot be held up for it, because questions wait behind others
// that have no answer yet.
func brokenOff(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
}

// kick disconnects a client whose session the platform ended, unless somebody with
// its id has come since.
func (c *client) kick() {
	ctx, cancel := context.WithTimeout(c.s.base, c.s.cfg.Timeout)
	defer cancel()
	kick := c.s.cfg.Kick
	if kick == nil {
		kick = c.s.Disconnect
	}
	if c.s.replaced(c.id) {
		return
	}
	if err := kick(ctx, c.id); err != nil && !errors.Is(err, errNoConsumer) {
		c.s.cfg.Logger.Warn("client not kicked", "client", clip(c.id), "err", err)
	}
}

// entering counts the logins under way with an id.
func (s *Server) entering(clientID string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.logins[clientID] += n; s.logins[clientID] == 0 {
		delete(s.logins, clientID)
	}
}

// replaced reports whether somebody with an id is in or about to be.
func (s *Server) replaced(clientID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clients[clientID] != nil || s.logins[clientID] > 0
}
