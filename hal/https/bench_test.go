// SPDX-License-Identifier: Apache-2.0

package https_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal/https"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/store/bolt"
)

const benchConns = 100

// BenchmarkPost is posts on 100 kept-alive connections, from the first byte to the
// answer: Hub with its durable commit on bolt, Bare with a handler that reads the
// body and answers as long a text.
//
//	go test ./hal/https -run '^$' -bench Post -benchtime 3s
func BenchmarkPost(b *testing.B) {
	b.Run("Bare", func(b *testing.B) {
		text := []byte(`{"code":0,"message":"success","info":{"messageId":1234567890123456789}}`)
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/json;charset=utf-8")
			_, _ = w.Write(text)
		}))
		defer web.Close()
		hammer(b, web.Listener.Addr().String(), func(int) string { return "token" })
	})
	b.Run("Hub", func(b *testing.B) {
		st, err := bolt.Open(filepath.Join(b.TempDir(), "hub.db"), bolt.Options{})
		if err != nil {
			b.Fatal(err)
		}
		defer st.Close()
		limits := hub.NoLimits()
		limits.UplinkQoS1, limits.Uplinks = 1_000_000, 10_000_000 // far away, but in the path
		h, err := hub.Open(b.Context(), hub.Config{Store: st, Limits: &limits})
		if err != nil {
			b.Fatal(err)
		}
		defer h.Close()
		handler, err := https.NewHandler(https.Config{Platform: h})
		if err != nil {
			b.Fatal(err)
		}
		web := httptest.NewServer(handler)
		defer web.Close()
		if _, err := h.CreateProduct(b.Context(), hub.Product{Key: lab.Product}); err != nil {
			b.Fatal(err)
		}
		p := &platform{t: b, hub: h, web: web}
		var tokens [benchConns]string
		for n := range tokens {
			id := lab
			id.Name = fmt.Sprintf("lab_dev_%02d", n)
			if _, err := h.RegisterDevice(b.Context(), hub.Device{ID: id, Secret: auth.NewSecret(labSecret)}); err != nil {
				b.Fatal(err)
			}
			tokens[n] = p.post("/auth", "", []byte(signed(labSecret, id))).Info.Token
		}
		hammer(b, web.Listener.Addr().String(), func(n int) string { return tokens[n] })
	})
}

// hammer posts b.N times. It speaks HTTP by hand, so that the server is what is
// measured.
func hammer(b *testing.B, addr string, token func(int) string) {
	var left atomic.Int64
	var all sync.WaitGroup
	body := `{"id":"1","version":"1.0","params":{"Temperature":21.5,"Power":1,"Mode":"auto","Humidity":47},"method":"thing.event.property.post"}`
	b.ReportAllocs()
	b.ResetTimer()
	left.Store(int64(b.N))
	for n := range benchConns {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		request := fmt.Appendf(nil, "POST /topic/sys/%s/lab_dev_%02d/thing/event/property/post HTTP/1.1\r\nHost: x\r\nPassword: %s\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n%s",
			lab.Product, n, token(n), len(body), body)
		all.Go(func() {
			defer nc.Close()
			in := bufio.NewReader(nc)
			for left.Add(-1) >= 0 {
				if err := exchange(nc, in, request); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
}

// exchange sends a request and reads its answer.
func exchange(nc net.Conn, in *bufio.Reader, request []byte) error {
	if _, err := nc.Write(request); err != nil {
		return err
	}
	length := 0
	for first := true; ; first = false {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && string(line) != "HTTP/1.1 200 OK\r\n" {
			return fmt.Errorf("answered %s", line)
		}
		if len(line) == 2 {
			break
		}
		_, _ = fmt.Sscanf(string(line), "Content-Length: %d", &length)
	}
	text := make([]byte, len(`{"code":0,`))
	if _, err := io.ReadFull(in, text); err != nil {
		return err
	}
	if string(text) != `{"code":0,` {
		return fmt.Errorf("answered %s", text)
	}
	_, err := in.Discard(length - len(text))
	return err
}
