// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

const want = `anna's dashboard is connected at the staff's listener, with a password of her own hook
2 devices are online, with the signatures of their secrets
anna at the devices' listener: hal: refused: bad credentials
the boiler posted, the platform keeps 61.5
the dashboard hears /sys/a1OwnBroker/boiler/thing/event/property/post
the valve is told to set Open to 80
the application set the valve, which answered 200
the dashboard hears /sys/a1OwnBroker/valve/thing/service/property/set_reply
and nothing of what the valve said in the boiler's name; the platform still keeps 61.5
`

// TestRun holds the output the README shows.
func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), want) {
		t.Error("the README shows another output")
	}
}
