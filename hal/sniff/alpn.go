// SPDX-License-Identifier: Apache-2.0

package sniff

import (
	"crypto/tls"
	"slices"
)

// forWeb are the protocols of HTTP, as HTTP clients name them.
var forWeb = []string{"h2", "http/1.1", "http/1.0"}

// answering returns a configuration that names HTTP to clients that ask for it, and
// nothing to others: crypto/tls refuses a client of whose protocols it has none, and
// MQTT clients name theirs. Configurations that decide for themselves stay as they
// are.
func answering(cfg *tls.Config) *tls.Config {
	if cfg == nil || len(cfg.NextProtos) > 0 || cfg.GetConfigForClient != nil {
		return cfg
	}
	web := cfg.Clone()
	web.NextProtos = forWeb
	cfg = cfg.Clone()
	cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.ContainsFunc(hello.SupportedProtos, func(p string) bool { return slices.Contains(forWeb, p) }) {
			return web, nil
		}
		return nil, nil // as it is
	}
	return cfg
}
