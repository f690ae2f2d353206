// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/store"
)

// Store keeps who is logged in. Every store.Engine is one.
type Store interface {
	store.KV
	store.Committer
}

// Sealer seals what clients showed. *auth.Sealer is one.
type Sealer interface {
	Seal(secret auth.Secret, place string) string
	Open(text, place string) (auth.Secret, error)
}

const (
	prefixLogin  = "webhook/login/"  // and the hash of a client id
	prefixDevice = "webhook/device/" // and pk/dn
	formatLogin  = 1
)

// record is a login as it is kept.
type record struct {
	ClientID string       `json:"clientId"`
	Kind     string       `json:"kind"`
	User     string       `json:"user"`
	Password string       `json:"password"` // base64, sealed if there is a Sealer
	Addr     string       `json:"addr,omitempty"`
	Clean    bool         `json:"clean,omitempty"`
	Filters  []hal.Filter `json:"filters,omitempty"`
}

var kinds = map[string]*kind{emqx.name: emqx, rabbitmq.name: rabbitmq, vernemq.name: vernemq, mosquitto.name: mosquitto}

func loginKey(clientID string) []byte {
	sum := sha256.Sum256([]byte(clientID))
	return append([]byte(prefixLogin), base64.RawURLEncoding.EncodeToString(sum[:])...)
}

func deviceKey(id iot.DeviceID) []byte { return append([]byte(prefixDevice), id.String()...) }

// remember keeps a login, or what it subscribes to. c has the turn, or is not in
// use yet.
func (c *client) remember() {
	s := c.s
	if s.cfg.Store == nil {
		return
	}
	rec := record{ClientID: c.id, Kind: c.kind.name, User: c.user, Clean: c.clean, Filters: c.filters}
	if c.addr != nil {
		rec.Addr = c.ip
	}
	rec.Password = s.seal(base64.StdEncoding.EncodeToString(c.password), c.id)
	b, err := json.Marshal(rec)
	if err != nil {
		s.cfg.Logger.Error("login not remembered", "client", clip(c.id), "err", err)
		return
	}
	var batch store.Batch
	batch.Put(loginKey(c.id), append([]byte{formatLogin}, b...))
	if c.own != (iot.DeviceID{}) {
		batch.Put(deviceKey(c.own), []byte(c.id))
	}
	s.submit(c, &batch)
}

// forget drops what was kept, unless the device logged in under another id since:
// its key names that then, and is only a hint.
func (c *client) forget() {
	if c.s.cfg.Store == nil {
		return
	}
	var batch store.Batch
	batch.Delete(loginKey(c.id))
	c.s.submit(c, &batch)
}

func (s *Server) submit(c *client, batch *store.Batch) {
	report := func(err error) {
		if err != nil {
			s.cfg.Logger.Error("login not remembered", "client", clip(c.id), "err", err)
		}
	}
	if err := s.cfg.Store.Submit(s.base, batch, report); err != nil {
		report(err)
	}
}

func (s *Server) seal(text, place string) string {
	if s.cfg.Sealer == nil {
		return text
	}
	return s.cfg.Sealer.Seal(auth.NewSecret(text), prefixLogin+place)
}

// find returns a client that is logged in, or was when the platform stopped.
func (s *Server) find(ctx context.Context, clientID string) *client {
	if c := s.client(clientID); c != nil || s.cfg.Store == nil {
		return c
	}
	c, err := s.recall(ctx, clientID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		s.cfg.Logger.Error("login not recalled", "client", clip(clientID), "err", err)
	}
	return c
}

// asked is find for a question: who has left asks none.
func (s *Server) asked(ctx context.Context, clientID string) *client {
	c := s.find(ctx, clientID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c == nil || c.told {
		return nil
	}
	return c
}

// findSpeaker is find by device.
func (s *Server) findSpeaker(ctx context.Context, id iot.DeviceID) *client {
	if c := s.speaker(id); c != nil || s.cfg.Store == nil || id.Name == "" {
		return c
	}
	e, err := s.cfg.Store.Get(ctx, deviceKey(id))
	if err != nil {
		return nil
	}
	if c := s.find(ctx, string(e.Value)); c != nil && c.own == id {
		return c
	}
	return nil
}

// recall takes a login up again, asleep: its next message or question opens the
// session.
func (s *Server) recall(ctx context.Context, clientID string) (*client, error) {
	e, err := s.cfg.Store.Get(ctx, loginKey(clientID))
	if err != nil {
		return nil, err
	}
	if len(e.Value) == 0 || e.Value[0] != formatLogin {
		return nil, store.ErrFormat
	}
	var rec record
	if err := json.Unmarshal(e.Value[1:], &rec); err != nil {
		return nil, fmt.Errorf("webhook: login: %w", err)
	}
	if rec.ClientID != clientID || kinds[rec.Kind] == nil {
		return nil, store.ErrFormat
	}
	l := &login{kind: kinds[rec.Kind], clientID: clientID, user: rec.User, addr: rec.Addr, clean: rec.Clean}
	if l.password, err = s.open(rec.Password, clientID); err != nil {
		return nil, err
	}
	c := s.newClient(l)
	c.filters = rec.Filters
	if !s.addAbsent(c) {
		return s.client(clientID), nil
	}
	if c.own != (iot.DeviceID{}) {
		c.speakFor(c.own)
	}
	return c, nil
}

func (s *Server) open(text, place string) (string, error) {
	if s.cfg.Sealer != nil {
		secret, err := s.cfg.Sealer.Open(text, prefixLogin+place)
		if err != nil {
			return "", err
		}
		text = secret.Reveal()
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", fmt.Errorf("webhook: login: %w", err)
	}
	return string(b), nil
}
