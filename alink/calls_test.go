// SPDX-License-Identifier: Apache-2.0

package alink_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openalink/iot/alink"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, c *alink.Calls, id string) *alink.Pending {
	t.Helper()
	p, err := c.Start(id)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCallsResolve(t *testing.T) {
	c := alink.NewCalls(2)
	p := start(t, c, "1")
	payload := []byte(`{"id":"1","code":460,"message":"no"}`)
	if c.Resolve("2", payload) {
		t.Error("an answer nobody waits for was taken")
	}
	if !c.Resolve("1", payload) || c.Resolve("1", payload) {
		t.Error("the answer was not taken once")
	}
	clear(payload)
	for range 2 {
		a, err := p.Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		m, err := a.Message()
		if err != nil || m.ID != "1" {
			t.Fatalf("got %+v, %v", m, err)
		}
		if err := m.Err(); !errors.Is(err, &alink.CodeError{Code: alink.CodeBadParams}) {
			t.Errorf("got %v", err)
		}
	}
	if c.Len() != 0 {
		t.Errorf("%d calls left", c.Len())
	}
	if _, err := (alink.Answer{}).Message(); !errors.Is(err, alink.ErrMalformed) {
		t.Errorf("empty answer: got %v", err)
	}
}

func TestCallsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := alink.NewCalls(1)
		p := start(t, c, "1")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		begin := time.Now()
		if _, err := p.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if d := time.Since(begin); d != 5*time.Second {
			t.Errorf("waited %v, want 5s", d)
		}
		if c.Resolve("1", nil) {
			t.Error("a late answer was taken")
		}
		if _, err := p.Wait(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting again: got %v", err)
		}
		start(t, c, "1").Cancel()
	})
}

// An answer that is there beats a context that ended.
func TestCallsAnswerFirst(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 {
		c := alink.NewCalls(1)
		p := start(t, c, "1")
		c.Resolve("1", []byte("x"))
		if a, err := p.Wait(ctx); err != nil || string(a.Payload) != "x" {
			t.Fatalf("got %q, %v", a.Payload, err)
		}
	}
}

func TestCallsLimits(t *testing.T) {
	c := alink.NewCalls(0)
	p := start(t, c, "1")
	if _, err := c.Start("1"); !errors.Is(err, alink.ErrDuplicate) {
		t.Errorf("got %v, want ErrDuplicate", err)
	}
	if _, err := c.Start("2"); !errors.Is(err, alink.ErrTooMany) {
		t.Errorf("got %v, want ErrTooMany", err)
	}
	p.Cancel()
	p.Cancel()
	if _, err := p.Wait(t.Context()); !errors.Is(err, alink.ErrCanceled) {
		t.Errorf("got %v, want ErrCanceled", err)
	}
	next := start(t, c, "1")
	p.Cancel()
	if c.Len() != 1 {
		t.Error("cancelling an old call ended a new one of the same id")
	}
	next.Cancel()
}

func TestCallsClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := errors.New("connection lost")
		c := alink.NewCalls(10)
		var wg sync.WaitGroup
		for i := range 10 {
			p := start(t, c, strconv.Itoa(i))
			wg.Go(func() {
				if _, err := p.Wait(t.Context()); !errors.Is(err, lost) {
					t.Errorf("got %v", err)
				}
			})
		}
		synctest.Wait()
		c.Close(lost)
		c.Close(nil)
		wg.Wait()
		if _, err := c.Start("1"); !errors.Is(err, lost) {
			t.Errorf("got %v", err)
		}
	})
	c := alink.NewCalls(1)
	c.Close(nil)
	if _, err := c.Start("1"); !errors.Is(err, alink.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

func TestCallsConcurrent(t *testing.T) {
	c := alink.NewCalls(1000)
	var ids alink.IDs
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				id := ids.Next()
				p, err := c.Start(id)
				if err != nil {
					t.Error(err)
					return
				}
				wg.Go(func() { c.Resolve(id, []byte(id)) })
				if a, err := p.Wait(t.Context()); err != nil || string(a.Payload) != id {
					t.Errorf("call %s: got %q, %v", id, a.Payload, err)
				}
			}
		})
	}
	wg.Wait()
	if c.Len() != 0 || ids.Next() != "801" {
		t.Errorf("%d calls left", c.Len())
	}
}
