// SPDX-License-Identifier: Apache-2.0

package https_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal/https"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/internal/party"
	"github.com/openalink/iot/store/bolt"
)

const benchConns = 100

// BenchmarkPost is posts on 100 kept-alive connections, from the first byte to the
// answer: Hub with its durable commit on bolt, Bare with a handler that reads the
// body and answers as long a text. The devices are a process of their own. Ratio runs both
// in turn, a round of 4000 posts each, and reports the median of hub to bare.
//
//	go test ./hal/https -run '^$' -bench Post/Ratio -benchtime 15x
func BenchmarkPost(b *testing.B) {
	b.Run("Bare", func(b *testing.B) {
		l := bare(b)
		b.ReportAllocs()
		b.ResetTimer()
		b.ReportMetric(l.run(b.N), "posts/s")
	})
	b.Run("Hub", func(b *testing.B) {
		l := durable(b)
		b.ReportAllocs()
		b.ResetTimer()
		b.ReportMetric(l.run(b.N), "posts/s")
	})
	b.Run("Ratio", func(b *testing.B) {
		const round = 4000
		theirs, ours := bare(b), durable(b)
		theirs.run(round)
		ours.run(round)
		var base, rates, ratios []float64
		for b.Loop() {
			base = append(base, theirs.run(round))
			rates = append(rates, ours.run(round))
			ratios = append(ratios, rates[len(rates)-1]/base[len(base)-1])
		}
		b.ReportMetric(median(base), "bare/s")
		b.ReportMetric(median(rates), "hub/s")
		b.ReportMetric(median(ratios), "ratio")
	})
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// bare is the peer.
func bare(b *testing.B) *load {
	text := []byte(`{"code":0,"message":"success","info":{"messageId":1234567890123456789,"data":"` + string(bytes.Repeat([]byte("x"), 140)) + `"}}`)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json;charset=utf-8")
		_, _ = w.Write(text)
	}))
	b.Cleanup(web.Close)
	return newLoad(b, web.Listener.Addr().String(), func(int) string { return "token" })
}

// durable is a hub whose store is a file.
func durable(b *testing.B) *load {
	st, err := bolt.Open(filepath.Join(b.TempDir(), "hub.db"), bolt.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = st.Close() })
	limits := hub.NoLimits()
	limits.UplinkQoS1, limits.Uplinks = 1_000_000, 10_000_000 // far away, but in the path
	h, err := hub.Open(b.Context(), hub.Config{Store: st, Limits: &limits})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = h.Close() })
	handler, err := https.NewHandler(https.Config{Platform: h})
	if err != nil {
		b.Fatal(err)
	}
	web := httptest.NewServer(handler)
	b.Cleanup(web.Close)
	if _, err := h.CreateProduct(b.Context(), hub.Product{Key: lab.Product}); err != nil {
		b.Fatal(err)
	}
	p := &platform{t: b, hub: h, web: web}
	return newLoad(b, web.Listener.Addr().String(), func(n int) string {
		id := lab
		id.Name = fmt.Sprintf("lab_dev_%02d", n)
		if _, err := h.RegisterDevice(b.Context(), hub.Device{ID: id, Secret: auth.NewSecret(labSecret)}); err != nil {
			b.Fatal(err)
		}
		return p.post("/auth", "", []byte(signed(labSecret, id))).Info.Token
	})
}

// load is 100 devices in another process: this binary, in a role.
type load struct{ *party.Party }

// fleet is what the devices are told first.
type fleet struct {
	Addr   string
	Tokens []string
}

func newLoad(b *testing.B, addr string, token func(int) string) *load {
	b.Helper()
	l := &load{party.Start(b, "devices")}
	f := fleet{Addr: addr}
	for n := range benchConns {
		f.Tokens = append(f.Tokens, token(n))
	}
	l.Tell(f)
	return l
}

// run makes n posts and returns how many a second.
func (l *load) run(n int) (rate float64) {
	l.Tell(n)
	l.Hear(&rate)
	return rate
}

// devices is the life of the other process.
func devices(in *json.Decoder, out *json.Encoder) error {
	var f fleet
	if err := in.Decode(&f); err != nil {
		return err
	}
	all, err := dial(f)
	if err != nil {
		return err
	}
	var n int
	for in.Decode(&n) == nil {
		rate, err := postAll(all, n)
		if err == nil {
			err = out.Encode(rate)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// poster is one device. It speaks HTTP by hand, so that the server is what is
// measured.
type poster struct {
	nc      net.Conn
	in      *bufio.Reader
	request []byte
}

func dial(f fleet) (all []*poster, err error) {
	const body = `{"id":"1","version":"1.0","params":{"Temperature":21.5,"Power":1,"Mode":"auto","Humidity":47},"method":"thing.event.property.post"}`
	for n, token := range f.Tokens {
		request := fmt.Appendf(nil, "POST /topic/sys/%s/lab_dev_%02d/thing/event/property/post HTTP/1.1\r\nHost: x\r\nPassword: %s\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n%s",
			lab.Product, n, token, len(body), body)
		nc, err := net.Dial("tcp", f.Addr)
		if err != nil {
			return nil, err
		}
		all = append(all, &poster{nc, bufio.NewReader(nc), request})
	}
	return all, nil
}

func postAll(all []*poster, n int) (float64, error) {
	var left atomic.Int64
	left.Store(int64(n))
	errs := make([]error, len(all))
	var posting sync.WaitGroup
	start := time.Now()
	for i, p := range all {
		posting.Go(func() {
			for left.Add(-1) >= 0 && errs[i] == nil {
				errs[i] = p.post()
			}
		})
	}
	posting.Wait()
	return float64(n) / time.Since(start).Seconds(), errors.Join(errs...)
}

// post sends the request and reads its answer.
func (p *poster) post() error {
	if _, err := p.nc.Write(p.request); err != nil {
		return err
	}
	length := 0
	for first := true; ; first = false {
		line, err := p.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && string(line) != "HTTP/1.1 200 OK\r\n" {
			return fmt.Errorf("answered %s", line)
		}
		if len(line) == 2 {
			break
		}
		if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(v[:len(v)-2])); err != nil {
				return err
			}
		}
	}
	const success = `{"code":0,`
	text, err := p.in.Peek(len(success))
	if err == nil && string(text) != success {
		err = fmt.Errorf("answered %s", text)
	}
	if err == nil {
		_, err = p.in.Discard(length)
	}
	return err
}
