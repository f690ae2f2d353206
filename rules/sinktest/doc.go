// SPDX-License-Identifier: Apache-2.0

// Package sinktest holds sinks to the contract of rules.Sink.
package sinktest
