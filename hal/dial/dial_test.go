// SPDX-License-Identifier: Apache-2.0

package dial_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/openalink/iot/hal/dial"
)

func TestNew(t *testing.T) {
	for url, want := range map[string]string{
		"mqtt://host":      "*mqtt.Transport",
		"tcp://host:1883":  "*mqtt.Transport",
		"mqtts://host":     "*mqtt.Transport",
		"tls://host:8883":  "*mqtt.Transport",
		"ws://host/mqtt":   "*mqtt.Transport",
		"wss://host/mqtt":  "*mqtt.Transport",
		"https://host:443": "*https.Transport",
		"http://[::1]:80":  "*https.Transport",
		"coaps://host":     "*coap.Transport",
		"coap://host:5683": "*coap.Transport",
		"h2://host":        "*http2.Transport",
		"h2c://host:80":    "*http2.Transport",
	} {
		tr, err := dial.New(url, nil)
		if got := fmt.Sprintf("%T", tr); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", url, got, err, want)
		}
	}
	if _, err := dial.New("gopher://host", nil); !errors.Is(err, dial.ErrScheme) {
		t.Errorf("unknown scheme: %v", err)
	}
	for _, url := range []string{"host:1883", "", "mqtt://", "https://%zz"} {
		if tr, err := dial.New(url, nil); err == nil {
			t.Errorf("%q: %T", url, tr)
		}
	}
}
