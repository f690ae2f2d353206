// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/ota"
)

// RemoteConfig applies the configuration the platform keeps for the device.
type RemoteConfig struct {
	// Apply takes a configuration whose digest was checked. After nil it is
	// acknowledged and kept as the applied one; after an error the one before stays,
	// and the platform is told.
	Apply func(ctx context.Context, content []byte) error
	// State keeps the applied one over restarts; nil keeps none.
	State hal.Slot
}

const configSlot = "config"

// AppliedConfig returns the configuration that was applied last, from
// RemoteConfig.State: what a device starts with before it is online. The error
// wraps hal.ErrNoValue when there is none.
func (c *Client) AppliedConfig(ctx context.Context) ([]byte, error) {
	if c.cfg.RemoteConfig == nil || c.cfg.RemoteConfig.State == nil {
		return nil, hal.ErrNoValue
	}
	return c.cfg.RemoteConfig.State.Load(ctx, configSlot)
}

// FetchConfig asks the platform for the configuration and applies it if it is
// not the applied one. Without RemoteConfig it only returns it. A platform that
// has none answers *alink.CodeError with code 6710, one that turned it off 6713.
// Other errors are those of Call, of Apply, ErrNoLinks or ota.ErrDigest.
func (c *Client) FetchConfig(ctx context.Context) ([]byte, error) {
	data, err := c.Call(ctx, alink.ConfigGet.Path(), map[string]string{"configScope": "product", "getType": "file"})
	if err != nil {
		return nil, err
	}
	return c.applyConfig(ctx, data)
}

// configPushed answers thing.config.push.
func (c *Client) configPushed(params json.RawMessage) error {
	ctx, cancel := context.WithTimeout(c.ctx, callTimeout)
	defer cancel()
	_, err := c.applyConfig(ctx, params)
	if err != nil {
		c.cfg.Logger.Warn("configuration is not applied", "error", err)
	}
	return err
}

// applyConfig fetches, checks, applies and keeps what a message describes.
func (c *Client) applyConfig(ctx context.Context, data []byte) ([]byte, error) {
	n, err := ota.ParseConfig(data)
	if err != nil {
		return nil, err
	}
	content := []byte(n.Content)
	if n.URL != "" {
		if content, err = c.getConfig(ctx, &n); err != nil {
			return nil, err
		}
	}
	if err := n.Verify(content); err != nil {
		return nil, err
	}
	r := c.cfg.RemoteConfig
	if r == nil {
		return content, nil
	}
	c.applying.Lock()
	defer c.applying.Unlock()
	if old, err := c.AppliedConfig(ctx); err == nil && n.Verify(old) == nil {
		return old, nil
	}
	if r.Apply != nil {
		if err := r.Apply(ctx, content); err != nil {
			return nil, err
		}
	}
	if r.State != nil {
		return content, r.State.Store(ctx, configSlot, content)
	}
	return content, nil
}

// getConfig fetches at most what a configuration may have.
func (c *Client) getConfig(ctx context.Context, n *ota.Config) ([]byte, error) {
	r, err := c.openLink(ctx, &ota.Notice{URL: n.URL, Size: n.Size}, 0)
	if err != nil {
		return nil, fmt.Errorf("device: configuration: %w", err)
	}
	defer r.Close()
	content, err := io.ReadAll(io.LimitReader(r, ota.MaxConfig+1))
	if len(content) > ota.MaxConfig {
		err = errors.New("larger than 64 KB")
	}
	if err != nil {
		return nil, fmt.Errorf("device: configuration: %w", err)
	}
	return content, nil
}

// openLink returns what is behind a link.
func (c *Client) openLink(ctx context.Context, n *ota.Notice, from int64) (io.ReadCloser, error) {
	if c.cfg.Links == nil {
		return nil, ErrNoLinks
	}
	return c.cfg.Links.Open(ctx, n, from)
}
