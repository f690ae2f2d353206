// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"errors"

	"github.com/openalink/iot/hal"
)

// The errors callers branch on. They are wrapped with what they are about.
var (
	// ErrClosed means the hub was closed or is shutting down.
	ErrClosed = errors.New("hub: closed")
	// ErrUnknownProduct means that no product has the ProductKey.
	ErrUnknownProduct = errors.New("hub: unknown product")
	// ErrUnknownDevice means that the product has no such device.
	ErrUnknownDevice = errors.New("hub: unknown device")
	// ErrExists means that the name is taken by something different.
	ErrExists = errors.New("hub: exists already")
	// ErrInvalid means that an argument breaks a documented rule.
	ErrInvalid = errors.New("hub: invalid argument")
	// ErrTooMany means that a limit on a number of things was reached.
	ErrTooMany = errors.New("hub: too many")
	// ErrTooLarge means that a payload is over Limits.MessageBytes.
	ErrTooLarge = errors.New("hub: payload too large")
	// ErrThrottled means that a rate limit was reached; try again later.
	// Listeners know it as hal.ErrThrottled.
	ErrThrottled error = throttled{}
	// ErrQueueFull means that the device's queue holds Limits.QueuedMessages.
	ErrQueueFull = errors.New("hub: queue of the device is full")
	// ErrOffline means that the device is not connected and the message was not
	// one to keep for it.
	ErrOffline = errors.New("hub: device is offline")
	// ErrNotActivated means that the device never connected.
	ErrNotActivated = errors.New("hub: device is not activated")
	// ErrNotSubscribed means that the device is connected but did not ask for the
	// topic.
	ErrNotSubscribed = errors.New("hub: device did not subscribe to the topic")
	// ErrDisabled means that the device is disabled.
	ErrDisabled = errors.New("hub: device is disabled")
	// ErrTimeout means that the device did not answer in time.
	ErrTimeout = errors.New("hub: device did not answer in time")
	// ErrUnknownPackage means that no firmware package has the id.
	ErrUnknownPackage = errors.New("hub: unknown firmware package")
	// ErrUnknownCampaign means that no campaign has the id.
	ErrUnknownCampaign = errors.New("hub: unknown campaign")
	// ErrUnknownConfig means that there is no such remote configuration.
	ErrUnknownConfig = errors.New("hub: unknown configuration")
	// ErrUnknownDownlink means that no downlink of the device has the message id.
	ErrUnknownDownlink = errors.New("hub: unknown downlink")
)

// throttled is the type of ErrThrottled.
type throttled struct{}

func (throttled) Error() string { return "hub: throttled" }

func (throttled) Is(target error) bool { return target == hal.ErrThrottled }
