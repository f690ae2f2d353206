// SPDX-License-Identifier: Apache-2.0

package https_test

import (
	"bytes"
	"net"
	"testing"
	"time"

	frames "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/openalink/iot/hub"
)

// TestRefusalIsNotReset: a client that is refused while it sends its body reads the
// answer, not that its stream is reset.
func TestRefusalIsNotReset(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	for _, headers := range [][]string{
		{":path", labPost, "password", "nonsense"},
		{":path", labPost},
		{":path", "/topic/"},
	} {
		nc, err := net.Dial("tcp", p.onePort(false))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := nc.Write([]byte(frames.ClientPreface)); err != nil {
			t.Fatal(err)
		}
		var block bytes.Buffer
		enc := hpack.NewEncoder(&block)
		for list := append([]string{":method", "POST", ":scheme", "http", ":authority", "x"}, headers...); len(list) > 0; list = list[2:] {
			_ = enc.WriteField(hpack.HeaderField{Name: list[0], Value: list[1]})
		}
		f := frames.NewFramer(nc, nc)
		ping := func() (ended bool) {
			if err := f.WritePing(false, [8]byte{}); err != nil {
				t.Fatal(err)
			}
			for {
				frame, err := f.ReadFrame()
				if err != nil {
					t.Fatal(err)
				}
				switch frame := frame.(type) {
				case *frames.PingFrame:
					return ended
				case *frames.RSTStreamFrame:
					t.Errorf("%v: reset: %v", headers, frame.ErrCode)
				case *frames.DataFrame:
					ended = ended || frame.StreamEnded()
				}
			}
		}
		_ = f.WriteSettings()
		_ = f.WriteHeaders(frames.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
		for range 20 { // so that it may do what it must not
			ping()
		}
		if err := f.WriteData(1, true, []byte(onePost)); err != nil {
			t.Fatal(err)
		}
		for !ping() {
		}
		ping()
	}
}
