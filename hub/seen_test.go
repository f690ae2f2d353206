// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"errors"
	"fmt"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
)

// However many tokens are shown, no more than two generations are remembered, and
// those shown again and again stay.
func TestSeenTokens(t *testing.T) {
	var s seen
	often := "often"
	s.add(often, auth.Claims{Device: iot.DeviceID{Product: "a1seen00000", Name: often}})
	for i := range 5 * maxSeen {
		s.add(fmt.Sprint(i), auth.Claims{})
		if i%1000 == 0 {
			if c, ok := s.find([]byte(often)); !ok || c.Device.Name != often {
				t.Fatalf("after %d: %v %v", i, c, ok)
			}
		}
	}
	if n := len(s.young) + len(s.old); n > 2*maxSeen {
		t.Errorf("%d remembered", n)
	}
	if _, ok := s.find([]byte("0")); ok {
		t.Error("the oldest is remembered")
	}
}

// A token that was right is refused once its time is over.
func TestSeenTokenExpires(t *testing.T) {
	var tk tokens
	tk.keys = auth.TokenKeys{{ID: 1, Secret: auth.NewSecret("k")}}
	now := time.Now()
	token := tk.keys.Issue(auth.Claims{Device: iot.DeviceID{Product: "a1seen00000", Name: "lamp"}, Expires: now.Add(time.Hour)})
	for range 2 {
		if _, err := tk.check([]byte(token.Reveal()), now); err != nil {
			t.Fatal(err)
		}
	}
	if c, err := tk.check([]byte(token.Reveal()), now.Add(time.Hour)); !errors.Is(err, auth.ErrTokenExpired) || c.Device.Name != "lamp" {
		t.Errorf("%v %v", c, err)
	}
	if len(tk.seen.young) != 1 {
		t.Errorf("%d remembered", len(tk.seen.young))
	}
}
