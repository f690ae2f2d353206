// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestOpenSSL shakes hands as old and new devices do. Firmware on the vendor's C
// SDKs offers nothing but RSA key exchange (wire facts, section 1 row 1).
func TestOpenSSL(t *testing.T) {
	openssl := needProgram(t, "openssl", "apt-get install openssl")
	h := startHubd(t)
	for _, listener := range []string{"mqtts", "wss", "https", "any"} {
		for _, tt := range []struct{ version, suite string }{
			{"-tls1", "AES128-SHA"},
			{"-tls1_1", "AES256-SHA"},
			{"-tls1_2", "AES128-SHA"},
			{"-tls1_2", "AES256-SHA"},
			{"-tls1_2", "AES128-SHA256"},
			{"-tls1_2", "AES128-GCM-SHA256"},
			{"-tls1_2", "ECDHE-RSA-AES128-GCM-SHA256"},
			// What the C SDKs offer, in their order.
			{"-tls1_2", "AES256-SHA256:AES256-SHA:AES128-SHA256:AES128-SHA:RSA-PSK-AES256-CBC-SHA:PSK-AES128-CBC-SHA"},
		} {
			t.Run(listener+"/"+tt.version[1:]+"/"+tt.suite, func(t *testing.T) {
				cmd := exec.CommandContext(t.Context(), openssl, "s_client", "-connect", h.addrs[listener], "-CAfile", certificates.ca,
					"-verify_return_error", tt.version, "-cipher", tt.suite+":@SECLEVEL=0")
				cmd.Stdin = strings.NewReader("Q\n")
				o := run(t, cmd)
				o.want(t, 0, "Verify return code: 0 (ok)")
				if !strings.Contains(o.out, "Cipher is "+tt.suite) && !strings.Contains(tt.suite, ":") {
					t.Errorf("another suite than %s; it said\n%s", tt.suite, o.out)
				}
			})
		}
		t.Run(listener+"/tls1_3", func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), openssl, "s_client", "-connect", h.addrs[listener], "-CAfile", certificates.ca,
				"-verify_return_error", "-tls1_3")
			cmd.Stdin = strings.NewReader("Q\n")
			run(t, cmd).want(t, 0, "Cipher is TLS_")
		})
	}
}
