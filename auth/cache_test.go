// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source is a SecretSource made of a function, with a count of its calls.
type source struct {
	calls atomic.Int32
	f     func(ctx context.Context, id iot.DeviceID) (auth.Secret, error)
}

func (s *source) DeviceSecret(ctx context.Context, id iot.DeviceID) (auth.Secret, error) {
	s.calls.Add(1)
	return s.f(ctx, id)
}

// known answers every device with its name.
func known(_ context.Context, id iot.DeviceID) (auth.Secret, error) {
	return auth.NewSecret(id.Name), nil
}

// slow answers like f after d, or not at all when the caller does not wait.
func slow(d time.Duration, f func(context.Context, iot.DeviceID) (auth.Secret, error)) func(context.Context, iot.DeviceID) (auth.Secret, error) {
	return func(ctx context.Context, id iot.DeviceID) (auth.Secret, error) {
		select {
		case <-time.After(d):
			return f(ctx, id)
		case <-ctx.Done():
			return auth.Secret{}, ctx.Err()
		}
	}
}

func (s *source) want(t *testing.T, calls int32) {
	t.Helper()
	if got := s.calls.Load(); got != calls {
		t.Errorf("%d calls to the source, want %d", got, calls)
	}
}

func get(t *testing.T, c *auth.CachedSecrets, id iot.DeviceID) {
	t.Helper()
	if s, err := c.DeviceSecret(t.Context(), id); err != nil || s.Reveal() != id.Name {
		t.Errorf("%v: got %q, %v", id, s.Reveal(), err)
	}
}

func TestCacheTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{f: known}
		c := auth.NewCachedSecrets(src, auth.CacheOptions{TTL: time.Minute})
		get(t, c, devA)
		time.Sleep(time.Minute - time.Nanosecond)
		get(t, c, devA)
		src.want(t, 1)
		time.Sleep(time.Nanosecond)
		get(t, c, devA)
		src.want(t, 2)
	})
}

func TestCacheUnknownDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{f: func(context.Context, iot.DeviceID) (auth.Secret, error) {
			return auth.NewSecret("ignored"), fmt.Errorf("store: %w", auth.ErrUnknownDevice)
		}}
		c := auth.NewCachedSecrets(src, auth.CacheOptions{NegativeTTL: time.Second})
		for range 3 {
			if s, err := c.DeviceSecret(t.Context(), devA); !errors.Is(err, auth.ErrUnknownDevice) || !s.IsZero() {
				t.Errorf("got %v, %v", s, err)
			}
		}
		src.want(t, 1)
		time.Sleep(time.Second)
		src.f = known
		get(t, c, devA)
		src.want(t, 2)
	})
}

// An error of the source is an error, even right after a success, and is asked
// about again at once.
func TestCacheFailsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("database down")
		src := &source{f: known}
		c := auth.NewCachedSecrets(src, auth.CacheOptions{})
		get(t, c, devA)
		src.f = func(context.Context, iot.DeviceID) (auth.Secret, error) { return auth.NewSecret("ignored"), down }
		time.Sleep(time.Minute)
		for range 2 {
			if s, err := c.DeviceSecret(t.Context(), devA); !errors.Is(err, down) || !s.IsZero() {
				t.Errorf("got %v, %v", s, err)
			}
		}
		src.want(t, 3)
	})
}

func TestCacheSingleFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{f: slow(time.Second, known)}
		c := auth.NewCachedSecrets(src, auth.CacheOptions{})
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { get(t, c, devA) })
		}
		wg.Wait()
		src.want(t, 1)
	})
}

// Whoever asks first may give up; the others do not suffer.
func TestCacheLeaderGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{f: slow(time.Second, known)}
		c := auth.NewCachedSecrets(src, auth.CacheOptions{})
		leader, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := c.DeviceSecret(leader, devA); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("leader: got %v", err)
			}
		})
		synctest.Wait()
		for range 10 {
			wg.Go(func() { get(t, c, devA) })
		}
		wg.Wait()
		src.want(t, 2)
	})
}

func TestCacheFollowerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{f: slow(time.Hour, known)}
		c := auth.NewCachedSecrets(src, auth.CacheOptions{})
		var wg sync.WaitGroup
		wg.Go(func() { get(t, c, devA) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := c.DeviceSecret(ctx, devA); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("returned after %v, want 1s", d)
		}
		wg.Wait()
	})
}

func TestCacheMaxCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int32
		src := &source{f: func(ctx context.Context, id iot.DeviceID) (auth.Secret, error) {
			n := running.Add(1)
			defer running.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			return slow(time.Second, known)(ctx, id)
		}}
		c := auth.NewCachedSecrets(src, auth.CacheOptions{MaxCalls: 3})
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() { get(t, c, iot.DeviceID{Product: "pk", Name: fmt.Sprint("dn", i)}) })
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		if _, err := c.DeviceSecret(ctx, devA); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting for a slot: got %v", err)
		}
		wg.Wait()
		if most.Load() != 3 {
			t.Errorf("%d calls at once, want 3", most.Load())
		}
	})
}

// The entry that was unused for longest goes first.
func TestCacheMaxEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{f: known}
		c := auth.NewCachedSecrets(src, auth.CacheOptions{MaxEntries: 2})
		id := func(i int) iot.DeviceID { return iot.DeviceID{Product: "pk", Name: fmt.Sprint("dn", i)} }
		get(t, c, id(1))
		get(t, c, id(2))
		get(t, c, id(1))
		get(t, c, id(3))
		src.want(t, 3)
		get(t, c, id(1))
		get(t, c, id(3))
		src.want(t, 3)
		get(t, c, id(2))
		src.want(t, 4)
	})
}

func TestCacheForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{f: known}
		c := auth.NewCachedSecrets(src, auth.CacheOptions{})
		get(t, c, devA)
		c.Forget(devA)
		c.Forget(sub1)
		get(t, c, devA)
		src.want(t, 2)

		// A call that began before the change does not bring the old secret back.
		c.Forget(devA)
		old := func(context.Context, iot.DeviceID) (auth.Secret, error) { return auth.NewSecret("old"), nil }
		src.f = func(ctx context.Context, id iot.DeviceID) (auth.Secret, error) {
			if src.calls.Load() == 3 {
				return slow(time.Second, old)(ctx, id)
			}
			return known(ctx, id)
		}
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = c.DeviceSecret(t.Context(), devA) })
		synctest.Wait()
		c.Forget(devA)
		get(t, c, devA)
		wg.Wait()
		get(t, c, devA)
		src.want(t, 4)
	})
}

// A source that panics leaves nobody waiting.
func TestCachePanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var src *source
		src = &source{f: func(ctx context.Context, id iot.DeviceID) (auth.Secret, error) {
			if src.calls.Load() == 1 {
				time.Sleep(time.Second)
				panic("broken")
			}
			return known(ctx, id)
		}}
		c := auth.NewCachedSecrets(src, auth.CacheOptions{MaxCalls: 1})
		var wg sync.WaitGroup
		wg.Go(func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic is gone")
				}
			}()
			_, _ = c.DeviceSecret(t.Context(), devA)
		})
		synctest.Wait()
		get(t, c, devA)
		wg.Wait()
		src.want(t, 2)
	})
}

// Ids may be views of a buffer that changes after the call.
func TestCacheCopiesID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{f: known}
		c := auth.NewCachedSecrets(src, auth.CacheOptions{})
		buf := []byte("lab_dev_01")
		get(t, c, iot.DeviceID{Product: devA.Product, Name: unsafe.String(&buf[0], len(buf))})
		copy(buf, "XXXXXXXXXX")
		c.Forget(iot.DeviceID{Product: devA.Product, Name: "XXXXXXXXXX"})
		s, err := c.DeviceSecret(t.Context(), devA)
		if err != nil || s.IsZero() {
			t.Errorf("got %v, %v", s, err)
		}
		src.want(t, 1)
	})
}
