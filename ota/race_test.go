// SPDX-License-Identifier: Apache-2.0

//go:build race

package ota_test

// raced says that the race detector watches, which takes several times as long.
const raced = true
