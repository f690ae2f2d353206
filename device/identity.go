// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
)

// Registrar fetches the DeviceSecret of a device that has only its product's
// secret.
type Registrar interface {
	Register(ctx context.Context, id iot.DeviceID, product auth.Secret) (auth.Secret, error)
}

// PreAuth exchanges a device's secret for a user name and a token to log in with.
type PreAuth interface {
	PreAuth(ctx context.Context, id iot.DeviceID, secret auth.Secret) (userName string, token auth.Secret, err error)
}

// ErrNoSecret means that a device has neither a DeviceSecret nor the ProductSecret
// it takes to register.
var ErrNoSecret = errors.New("device: neither a DeviceSecret nor a ProductSecret")

// granted is what a registration gives, as the Slot keeps it.
type granted struct {
	ProductKey   string `json:"productKey"`
	DeviceName   string `json:"deviceName"`
	DeviceSecret string `json:"deviceSecret,omitempty"`
	ClientID     string `json:"clientId,omitempty"`
	DeviceToken  string `json:"deviceToken,omitempty"`
}

// identify finds out who the device is and makes its login.
func (c *Client) identify(ctx context.Context) (hal.Login, error) {
	id, err := c.cfg.Identity.Identity(ctx)
	if err != nil {
		return hal.Login{}, fmt.Errorf("device: identity: %w", err)
	}
	if err := id.Device.Validate(); err != nil {
		return hal.Login{}, err
	}
	var g granted
	if id.DeviceSecret.IsZero() && c.cfg.Slot != nil {
		if g, err = c.grant(ctx, id); err != nil {
			return hal.Login{}, err
		}
		id.DeviceSecret = auth.NewSecret(g.DeviceSecret)
	}
	c.mu.Lock()
	c.id = id
	c.mu.Unlock()
	switch {
	case g.DeviceToken != "":
		return c.loginWith(auth.TokenLogin(id.Device, g.ClientID, auth.NewSecret(g.DeviceToken), c.params(id)...)), nil
	case c.cfg.PreAuth != nil:
		return c.preAuth(ctx, id)
	}
	l := c.loginWith(c.sign(id))
	l.DeviceSecret = id.DeviceSecret
	return l, nil
}

func (c *Client) preAuth(ctx context.Context, id hal.Identity) (hal.Login, error) {
	tr := c.sign(id)
	var err error
	tr.UserName, tr.Password, err = c.cfg.PreAuth.PreAuth(ctx, id.Device, id.DeviceSecret)
	if err != nil {
		return hal.Login{}, fmt.Errorf("device: pre-authentication: %w", err)
	}
	return c.loginWith(tr), nil
}

func slotName(id iot.DeviceID) string { return "identity-" + id.Product + "-" + id.Name }

// grant returns what a registration gave, now or earlier.
func (c *Client) grant(ctx context.Context, id hal.Identity) (granted, error) {
	raw, err := c.cfg.Slot.Load(ctx, slotName(id.Device))
	var g granted
	switch {
	case err == nil:
		if err := json.Unmarshal(raw, &g); err != nil {
			return g, errors.New("device: what the slot holds cannot be read")
		}
		return g, nil
	case !errors.Is(err, hal.ErrNoValue):
		return g, fmt.Errorf("device: slot: %w", err)
	}
	if g, err = c.register(ctx, id); err != nil {
		return g, err
	}
	if raw, err = json.Marshal(g); err == nil {
		err = c.cfg.Slot.Store(ctx, slotName(id.Device), raw)
	}
	if err != nil {
		return g, fmt.Errorf("device: slot: %w", err)
	}
	return g, nil
}

// register asks the platform for credentials, in the way configured.
func (c *Client) register(ctx context.Context, id hal.Identity) (granted, error) {
	g := granted{ProductKey: id.Device.Product, DeviceName: id.Device.Name}
	switch {
	case c.sub != nil:
		secret, err := c.sub.gw.registerSub(ctx, id)
		g.DeviceSecret = secret.Reveal()
		return g, err
	case id.ProductSecret.IsZero():
		return g, ErrNoSecret
	case c.cfg.Registrar != nil:
		secret, err := c.cfg.Registrar.Register(ctx, id.Device, id.ProductSecret)
		g.DeviceSecret = secret.Reveal()
		if err != nil {
			err = fmt.Errorf("device: registration: %w", err)
		}
		return g, err
	}
	return c.registerOver(ctx, id)
}

// registerOver registers over the transport: a connection that is good for its
// one answer only (wire facts sections 4.4 and 4.5).
func (c *Client) registerOver(ctx context.Context, id hal.Identity) (granted, error) {
	random := make([]byte, 8)
	if _, err := io.ReadFull(c.cfg.Random, random); err != nil {
		return granted{}, fmt.Errorf("device: random: %w", err)
	}
	o := auth.RegisterOptions{Method: c.cfg.Sign, Random: hex.EncodeToString(random)}
	answerOn := "/ext/register"
	if c.cfg.WithoutWhitelist {
		o.AuthType, answerOn = auth.AuthRegNWL, "/ext/regnwl"
	}
	answer := make(chan []byte, 1)
	l := c.loginWith(auth.SignRegister(id.Device, id.ProductSecret, o))
	l.CleanSession = true
	conn, err := c.cfg.Transport.Connect(ctx, l, func(m iot.Message) {
		if m.Topic == answerOn {
			select {
			case answer <- append([]byte(nil), m.Payload...):
			default:
			}
		}
	})
	if err != nil {
		return granted{}, fmt.Errorf("device: registration: %w", err)
	}
	defer conn.Close()
	select {
	case raw := <-answer:
		return readGrant(id.Device, raw)
	case <-conn.Done():
		return granted{}, fmt.Errorf("device: registration: %w", hal.ErrGone)
	case <-ctx.Done():
		return granted{}, ctx.Err()
	}
}

func readGrant(id iot.DeviceID, raw []byte) (granted, error) {
	var g granted
	err := json.Unmarshal(raw, &g)
	if err != nil || g.ProductKey != id.Product || g.DeviceName != id.Name || g.DeviceSecret == "" && g.DeviceToken == "" {
		return granted{}, errors.New("device: registration: the answer cannot be read")
	}
	return g, nil
}
