// SPDX-License-Identifier: Apache-2.0

// Package rules runs rules: statements of rule SQL (package rules/sql) over the
// messages of a platform, and actions that take what they select to sinks.
//
//	runner, err := rules.Open(ctx, rules.Config{Source: hub, Store: st})
//	err = runner.Put(ctx, rules.Rule{
//		ID:      "heat",
//		SQL:     `SELECT deviceName() AS d, t FROM "/a1Lamps0001/+/user/update" WHERE t > 38`,
//		Mode:    rules.AtLeastOnce,
//		Actions: []rules.Action{{Sink: webhook.New("https://example.com/heat")}},
//	})
//
// # Delivery
//
// A rule of mode AtLeastOnce is a durable place in the platform's message log,
// where a message stands before it is acknowledged to the device. The place moves
// behind a message when every action has taken it or it is among the dead letters.
// What was under way when the process died is sent again, under the same
// Delivery.Key. A rule of mode BestEffort begins with the messages that come while
// it runs, and drops what its actions cannot keep up with.
//
// Messages of one device reach an action in order. An action sends on a few lanes
// at once (Action.Lanes); each device keeps to one.
//
// # Queues
//
// A rule holds at most Config.Window messages that its actions have not taken.
// When an AtLeastOnce rule has that many, it leaves the common reading of the log
// and reads on by itself as room appears, until it has caught up; no other rule and
// no device waits for it. A BestEffort rule drops the message, counts it and tells
// Config.Observe.
//
// # Failures
//
// An error of a sink is taken for passing trouble unless it is Permanent: the
// action stops sending (its circuit opens), tries one message after Retry.Min, then
// after ever longer pauses, and goes on when that one is taken. A message that
// fails for good, because its error is permanent, because Retry.Attempts are used
// up, or because others get through and it does not, goes to Rule.OnError, and of an
// AtLeastOnce rule to the dead letters, from where Replay sends it again.
package rules
