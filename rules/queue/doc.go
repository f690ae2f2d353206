// SPDX-License-Identifier: Apache-2.0

// Package queue is server-side subscription: groups of consumers that share the
// messages of a platform.
//
//	queues, err := queue.Open(ctx, queue.Config{Source: hub.RuleSource(), Store: st})
//	err = queues.Create(ctx, queue.Group{ID: "billing", Subscriptions: []queue.Subscription{
//		{Product: "a1Lamps0001", Kinds: []queue.Kind{queue.Upstream, queue.Status}},
//	}})
//	consumer, err := queues.Join(ctx, "billing", queue.JoinOptions{})
//	for m, err := range consumer.Messages(ctx) {
//		handle(m)
//		err = m.Done()
//	}
//
// # Delivery
//
// A group is a durable place in the platform's message log, and the messages behind
// it that are done already. A message is given to one consumer of the group. The
// next message of its device waits until it is answered; those of other devices do
// not. So the order of each device is kept whoever consumes, and consumers come and
// go as they like: what one leaves behind unanswered goes to another.
//
// A message is answered with Done, with Again (it comes again), or with Later (the
// consumer keeps it without a deadline, and answers when it can). A message nobody
// answers within Config.AnswerWithin comes again. After Config.Tries tries it goes to
// the dead letters and its device goes on.
//
// After a crash what was done within the last Config.FlushEvery comes once more.
// Groups can be as far behind as the message log is kept.
package queue
