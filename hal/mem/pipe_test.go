// SPDX-License-Identifier: Apache-2.0

package mem_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openalink/iot/hal/mem"
	"golang.org/x/net/nettest"
)

func TestPipe(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		c1, c2 = mem.Pipe(4096)
		return c1, c2, func() { _ = c1.Close(); _ = c2.Close() }, nil
	})
}

// TestPipeHolds: writes return at once until size bytes wait.
func TestPipeHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := mem.Pipe(10)
		defer a.Close()
		defer b.Close()
		if n, err := a.Write(make([]byte, 10)); n != 10 || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
		_ = a.SetWriteDeadline(time.Now().Add(time.Minute))
		start := time.Now()
		if _, err := a.Write([]byte{1}); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("Write into a full pipe: %v after %v", err, time.Since(start))
		}
	})
}

// TestPipeCloseKeepsWritten: what was written before Close is read after it.
func TestPipeCloseKeepsWritten(t *testing.T) {
	a, b := mem.Pipe(10)
	_, _ = a.Write([]byte("last words"))
	_ = a.Close()
	got, err := io.ReadAll(b)
	if string(got) != "last words" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := b.Write([]byte("x")); err == nil {
		t.Error("Write to a closed pipe succeeds")
	}
	_ = b.Close()
}
