// SPDX-License-Identifier: Apache-2.0

package mem_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/mem"
	"github.com/openalink/iot/topic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n mem.Network
		if _, err := n.DialContext(t.Context(), "tcp", "nowhere"); err == nil {
			t.Error("dialed nowhere")
		}
		l, err := n.Listen("here")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Listen("here"); err == nil {
			t.Error("one address, two listeners")
		}
		var echo sync.WaitGroup
		echo.Go(func() {
			c, err := l.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.Copy(c, c)
			_ = c.Close()
		})
		c, err := n.DialContext(t.Context(), "tcp", "here")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 5)
		if _, err := io.ReadFull(c, b); err != nil || string(b) != "hello" {
			t.Errorf("%q, %v", b, err)
		}
		start := time.Now()
		_ = c.SetReadDeadline(start.Add(time.Hour))
		if _, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Hour {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		_ = c.Close()
		echo.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := n.DialContext(ctx, "tcp", "here"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("nobody accepts: %v", err)
		}
		_ = l.Close()
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept on a closed listener: %v", err)
		}
		if l, err = n.Listen("here"); err != nil {
			t.Errorf("the address is not free again: %v", err)
		} else {
			_ = l.Close()
		}
	})
}

// access accepts everybody and lets the test speak through the link.
type access struct {
	mu     sync.Mutex
	link   hal.Link
	causes []hal.Cause
	reply  error
	block  chan struct{}
}

func (a *access) Connect(_ context.Context, r *hal.ConnectRequest) (hal.Accepted, error) {
	if r.UserName == "" {
		return hal.Accepted{}, &hal.RefusedError{Reason: hal.BadCredentials}
	}
	a.link = r.Link
	return hal.Accepted{Session: a}, nil
}

func (a *access) Receive(ctx context.Context, m iot.Message, done func([]iot.Message, error)) {
	if a.block != nil {
		select {
		case <-a.block:
		case <-ctx.Done():
			done(nil, ctx.Err())
			return
		}
	}
	if a.reply != nil {
		done(nil, a.reply)
		return
	}
	done([]iot.Message{{Topic: m.Topic + "_reply", Payload: m.Payload}}, nil)
}
func (a *access) Authorize(topic.Operation, string) error { return nil }

func (a *access) Close(cause hal.Cause) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.causes = append(a.causes, cause)
}

func dial(t *testing.T, a *access, recv func(iot.Message)) hal.Conn {
	t.Helper()
	c, err := mem.NewTransport(a).Connect(t.Context(), hal.Login{UserName: "x", Password: auth.NewSecret("p")}, recv)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &access{}
		if _, err := mem.NewTransport(a).Connect(t.Context(), hal.Login{}, nil); err == nil {
			t.Error("the refusal was lost")
		}
		var got []string
		c := dial(t, a, func(m iot.Message) { got = append(got, m.Topic+" "+string(m.Payload)) })
		payload := []byte("one")
		if err := c.Publish(t.Context(), iot.Message{Topic: "t", Payload: payload, QoS: 1}); err != nil {
			t.Fatal(err)
		}
		payload[0] = 'X' // it is the caller's again
		sent := make(chan error, 1)
		a.link.Send(t.Context(), hal.Delivery{Message: iot.Message{Topic: "down", Payload: []byte("two")}}, func(err error) { sent <- err })
		if err := <-sent; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if len(got) != 2 || got[0] != "t_reply one" || got[1] != "down two" {
			t.Errorf("got %q", got)
		}
		a.reply = &hal.RejectedError{}
		if err := c.Publish(t.Context(), iot.Message{Topic: "t", QoS: 1}); err != nil {
			t.Errorf("a rejected message is acknowledged: %v", err)
		}
		if _, err := c.(hal.SubscribingConn).Subscribe(t.Context(), nil); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("subscribe on a session without: %v", err)
		}
		a.reply = errors.New("disk full")
		if err := c.Publish(t.Context(), iot.Message{Topic: "t", QoS: 1}); !errors.Is(err, hal.ErrGone) {
			t.Errorf("not kept: %v", err)
		}
		<-c.Done()
		a.link.Send(t.Context(), hal.Delivery{}, func(err error) { sent <- err })
		if err := <-sent; !errors.Is(err, hal.ErrGone) {
			t.Errorf("send after the end: %v", err)
		}
		_ = c.Close()
		if len(a.causes) != 1 || a.causes[0] != hal.CauseNotKept {
			t.Errorf("causes %v, want not-kept once", a.causes)
		}
	})
}

func TestKickEndsAWaitingPublish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &access{block: make(chan struct{})}
		c := dial(t, a, func(iot.Message) {})
		result := make(chan error, 1)
		go func() { result <- c.Publish(t.Context(), iot.Message{Topic: "t", QoS: 1}) }()
		synctest.Wait()
		a.link.Close(hal.CauseKicked)
		if err := <-result; !errors.Is(err, hal.ErrGone) {
			t.Errorf("publish: %v", err)
		}
		_ = c.Close()
		if len(a.causes) != 1 || a.causes[0] != hal.CauseKicked {
			t.Errorf("causes %v", a.causes)
		}
	})
}

func TestSlowDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &access{}
		release := make(chan struct{})
		c := dial(t, a, func(iot.Message) { <-release })
		full := 0
		for range 2000 {
			a.link.Send(t.Context(), hal.Delivery{}, func(err error) {
				if errors.Is(err, hal.ErrFull) {
					full++
				}
			})
		}
		if full < 900 {
			t.Errorf("%d of 2000 refused: the inbox has no bound", full)
		}
		close(release)
		_ = c.Close()
	})
}

func ExampleNetwork() {
	var n mem.Network
	l, _ := n.Listen("hub")
	go func() {
		c, _ := l.Accept()
		_, _ = c.Write([]byte("hello"))
		_ = c.Close()
	}()
	c, _ := n.DialContext(context.Background(), "tcp", "hub")
	b, _ := io.ReadAll(c)
	fmt.Println(string(b))
	_ = l.Close()
	// Output: hello
}
