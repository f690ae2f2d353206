// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openalink/iot/internal/tokens"
)

func TestBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := tokens.New(10)
		n := 0
		for b.Take() {
			n++
		}
		if n != 10 {
			t.Errorf("%d at once", n)
		}
		start := time.Now()
		if err := b.Wait(t.Context(), 5); err != nil || time.Since(start) != 500*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		for range 100 {
			if err := b.Wait(ctx, 5); err == nil {
				t.Error("did not wait")
			}
		}
		start = time.Now()
		if err := b.Wait(t.Context(), 5); err != nil || time.Since(start) > 500*time.Millisecond {
			t.Errorf("%v after %v: who gave up took the tokens of others", err, time.Since(start))
		}
		none := tokens.New(-1)
		if !none.Take() || none.Wait(t.Context(), 1000) != nil {
			t.Error("no bound is a bound")
		}
	})
}
