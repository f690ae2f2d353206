// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"errors"
	"io"
	"syscall"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

var errNoConsumer = errors.New("webhook: no consumer is connected to the broker")

// Disconnect has the broker close a client's connection, as every broker does that
// speaks MQTT: the consumer's account connects with the client's id for a moment,
// and takes over. It needs a consumer that is connected. The client may come back
// at once; who is let in then, the platform decides.
func (s *Server) Disconnect(ctx context.Context, clientID string) error {
	return s.disconnect(ctx, clientID, s.client(clientID))
}

// disconnect disconnects a client unless it is another than it was.
func (s *Server) disconnect(ctx context.Context, clientID string, was *client) error {
	s.mu.Lock()
	cfg := s.account
	s.mu.Unlock()
	if cfg == nil {
		return errNoConsumer
	}
	for wait := minRetry; s.take(clientID, was); wait *= 2 {
		err := s.takeOver(ctx, cfg, clientID)
		s.giveBack(clientID)
		if !brokenOff(err) {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
	}
	return nil
}

// minRetry is how long a broken off take-over waits at first.
const minRetry = 50 * time.Millisecond

// brokenOff reports whether the broker closed the connection without an answer. For
// RabbitMQ a clean session cannot go on as one that is not: it closes the client's
// connection, finds the client's queue, and breaks off. The queue is gone a moment
// later.
func brokenOff(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
}

// take keeps logins with a client's id waiting, so that a take-over ends no
// connection but the one it is for. It fails when the client is not the one it was,
// or somebody else takes it over.
func (s *Server) take(clientID string, was *client) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clients[clientID] != was || s.logins[clientID] > 0 || s.taken[clientID] != nil {
		return false
	}
	s.taken[clientID] = make(chan struct{})
	return true
}

func (s *Server) giveBack(clientID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.taken[clientID])
	delete(s.taken, clientID)
}

// takeOver connects with a client's id for a moment.
func (s *Server) takeOver(ctx context.Context, cfg *Consumer, clientID string) error {
	o := paho.NewClientOptions().AddBroker(cfg.URL).SetClientID(clientID).
		SetUsername(cfg.UserName).SetPassword(cfg.Password.Reveal()).
		SetCleanSession(false).SetAutoAckDisabled(true). // what waits for the client there is not ours
		SetProtocolVersion(4).SetConnectTimeout(s.cfg.Timeout).SetAutoReconnect(false).SetConnectRetry(false)
	if cfg.TLS != nil {
		o.SetTLSConfig(cfg.TLS)
	}
	client := paho.NewClient(o)
	defer client.Disconnect(goodbye)
	token := client.Connect()
	select {
	case <-token.Done():
		if token.Error() == nil { // its own end will be announced, too
			s.mu.Lock()
			s.owe(clientID)
			s.mu.Unlock()
		}
		return token.Error()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// kick disconnects a client whose session the platform ended, unless somebody with
// its id has come since.
func (c *client) kick() {
	ctx, cancel := context.WithTimeout(c.s.base, c.s.cfg.Timeout)
	defer cancel()
	kick := c.s.cfg.Kick
	if kick == nil {
		kick = func(ctx context.Context, clientID string) error { return c.s.disconnect(ctx, clientID, nil) }
	}
	if c.s.replaced(c.id) {
		return
	}
	if err := kick(ctx, c.id); err != nil && !errors.Is(err, errNoConsumer) {
		c.s.cfg.Logger.Warn("client not kicked", "client", clip(c.id), "err", err)
	}
}

// enter counts a login with an id, once no take-over of the id is under way.
func (s *Server) enter(ctx context.Context, clientID string) error {
	for {
		s.mu.Lock()
		taken := s.taken[clientID]
		if taken == nil {
			s.logins[clientID]++
			s.mu.Unlock()
			return nil
		}
		s.mu.Unlock()
		select {
		case <-taken:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// entered ends what enter began.
func (s *Server) entered(clientID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.logins[clientID]--; s.logins[clientID] == 0 {
		delete(s.logins, clientID)
	}
}

// replaced reports whether somebody with an id is in or about to be.
func (s *Server) replaced(clientID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clients[clientID] != nil || s.logins[clientID] > 0
}
