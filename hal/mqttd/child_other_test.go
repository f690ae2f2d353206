// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package mqttd_test

const childEnv = "MQTTD_TEST_CHILD"

func serveChild(string) {}
