// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/bench/load"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/topic"
)

// door is a platform without any work: the front door alone.
type door struct{ meter *meter }

func (d door) Connect(context.Context, *hal.ConnectRequest) (hal.Accepted, error) {
	return hal.Accepted{Session: d}, nil
}

func (d door) Receive(_ context.Context, _ iot.Message, done func([]iot.Message, error)) {
	d.meter.messages.Add(1)
	done(nil, nil)
}

func (door) Authorize(topic.Operation, string) error { return nil }

func (door) Close(hal.Cause) {}

// checkedDoor is a door that checks the CONNECT triple.
type checkedDoor struct{ door }

var secret = auth.NewSecret(load.Secret)

func (d checkedDoor) Connect(ctx context.Context, r *hal.ConnectRequest) (hal.Accepted, error) {
	id, err := auth.ParseUserName(r.UserName)
	if err != nil {
		return hal.Accepted{}, &hal.RefusedError{Reason: hal.BadCredentials, Err: err}
	}
	c, err := auth.ParseClientID(r.ClientID)
	if err != nil {
		return hal.Accepted{}, &hal.RefusedError{Reason: hal.BadClientID, Err: err}
	}
	password, _ := r.Credential.(auth.Password)
	if err := c.Verify(password.Bytes(), id, secret); err != nil {
		return hal.Accepted{}, &hal.RefusedError{Reason: hal.BadCredentials, Err: err}
	}
	return d.door.Connect(ctx, r)
}
