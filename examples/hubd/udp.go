// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"strings"

	"github.com/openalink/iot/hal/coap"
	"github.com/openalink/iot/hub"
)

// listenUDP opens the addresses of -coap and -coaps.
func (s *servers) listenUDP(f flags, h *hub.Hub) error {
	if f.coap == "" && f.coaps == "" {
		return nil
	}
	cfg := coap.Config{Platform: h, Logger: s.logger}
	if f.coaps != "" {
		cfg.Certificates = s.tls.Certificates
	}
	var err error
	if s.coap, err = coap.NewServer(cfg); err != nil {
		return err
	}
	for _, l := range []struct {
		name, addrs string
		serve       func(*net.UDPConn) error
	}{{"coap", f.coap, s.coap.Serve}, {"coaps", f.coaps, s.coap.ServeDTLS}} {
		for addr := range strings.SplitSeq(l.addrs, ",") {
			if addr == "" {
				continue
			}
			if err := s.serveUDP(l.name, addr, l.serve); err != nil {
				return fmt.Errorf("-%s: %w", l.name, err)
			}
		}
	}
	return nil
}

func (s *servers) serveUDP(name, addr string, serve func(*net.UDPConn) error) error {
	at, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return err
	}
	conn, err := net.ListenUDP("udp", at)
	if err != nil {
		return err
	}
	fmt.Fprintln(s.out, "listening", name, conn.LocalAddr())
	s.watch(func() error { return serve(conn) }, coap.ErrServerClosed)
	return nil
}
