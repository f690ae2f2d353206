// SPDX-License-Identifier: Apache-2.0

package coap_test

import (
	"bytes"
	"crypto/cipher"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	piondtls "github.com/pion/dtls/v3"
	coapdtls "github.com/plgd-dev/go-coap/v3/dtls"
	coapmessage "github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"
	coapnet "github.com/plgd-dev/go-coap/v3/net"
	"github.com/plgd-dev/go-coap/v3/options"
	"github.com/plgd-dev/go-coap/v3/pkg/runner/periodic"
	"github.com/plgd-dev/go-coap/v3/udp"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal/coap"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/internal/party"
	"github.com/openalink/iot/store/bolt"
)

const (
	benchConns = 100
	benchBody  = `{"id":"1","version":"1.0","params":{"Temperature":21.5,"Power":1,"Mode":"auto","Humidity":47},"method":"thing.event.property.post"}`
	benchSuite = piondtls.TLS_PSK_WITH_AES_128_GCM_SHA256
)

// BenchmarkPost is posts of 100 devices, each of which waits for its answer before
// it posts again: Hub with its durable commit on bolt and, on UDP, with its
// encryption; Bare with an echo by go-coap. Ratio runs both in turn, a round of
// 4000 posts each, and reports the median of hub to bare.
//
//	go test ./hal/coap -run '^$' -bench Post/.*/Ratio -benchtime 15x
func BenchmarkPost(b *testing.B) {
	for _, way := range []struct {
		name      string
		bare, hub func(b *testing.B) *load
	}{
		{"UDP", bareUDP, hubUDP},
		{"DTLS", bareDTLS, hubDTLS},
	} {
		b.Run(way.name+"/Bare", func(b *testing.B) { benchPosts(b, way.bare(b)) })
		b.Run(way.name+"/Hub", func(b *testing.B) { benchPosts(b, way.hub(b)) })
		b.Run(way.name+"/Ratio", func(b *testing.B) { benchRatio(b, way.bare(b), way.hub(b)) })
	}
}

func benchPosts(b *testing.B, l *load) {
	b.ReportAllocs()
	b.ResetTimer()
	b.ReportMetric(l.run(b.N), "posts/s")
}

func benchRatio(b *testing.B, theirs, ours *load) {
	const round = 4000
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
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// echo is the peer.
func echo() mux.Handler {
	return mux.HandlerFunc(func(w mux.ResponseWriter, r *mux.Message) {
		body, err := r.ReadBody()
		if err == nil {
			_ = w.SetResponse(codes.Content, coapmessage.AppJSON, bytes.NewReader(body))
		}
	})
}

// ticks is the peer's clock. Its own outlives it by seconds.
func ticks(b *testing.B) periodic.Func {
	return periodic.New(b.Context().Done(), 4*time.Second)
}

func bareUDP(b *testing.B) *load {
	l, err := coapnet.NewListenUDP("udp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := udp.NewServer(options.WithMux(echo()), options.WithPeriodicRunner(ticks(b)))
	var all sync.WaitGroup
	all.Go(func() { _ = s.Serve(l) })
	b.Cleanup(func() {
		s.Stop()
		_ = l.Close()
		all.Wait()
	})
	return newLoad(b, "bare UDP", l.LocalAddr().String())
}

func bareDTLS(b *testing.B) *load {
	l, err := coapnet.NewDTLSListener("udp4", "127.0.0.1:0", &piondtls.Config{ //nolint:staticcheck // go-coap takes nothing else
		PSK: func([]byte) ([]byte, error) { return []byte(labKey), nil }, PSKIdentityHint: []byte("iot"), CipherSuites: []piondtls.CipherSuiteID{benchSuite},
	})
	if err != nil {
		b.Fatal(err)
	}
	s := coapdtls.NewServer(options.WithMux(echo()), options.WithPeriodicRunner(ticks(b)))
	var all sync.WaitGroup
	all.Go(func() { _ = s.Serve(l) })
	b.Cleanup(func() {
		s.Stop()
		_ = l.Close()
		all.Wait()
	})
	return newLoad(b, "bare DTLS", l.Addr().String())
}

// durable is a hub whose store is a file, with the devices.
func durable(b *testing.B) *platform {
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
	if _, err := h.CreateProduct(b.Context(), hub.Product{Key: lab.Product}); err != nil {
		b.Fatal(err)
	}
	for n := range benchConns {
		if _, err := h.RegisterDevice(b.Context(), hub.Device{ID: benchDevice(n), Secret: auth.NewSecret(labSecret)}); err != nil {
			b.Fatal(err)
		}
	}
	p := &platform{t: b, hub: h}
	p.server, p.plain, p.secure = listen(b, coap.Config{Platform: h})
	return p
}

func hubUDP(b *testing.B) *load { return newLoad(b, "hub UDP", durable(b).plain) }

func hubDTLS(b *testing.B) *load { return newLoad(b, "hub DTLS", durable(b).secure) }

// load is 100 devices in another process: this binary, in a role.
type load struct{ *party.Party }

func newLoad(b *testing.B, way, addr string) *load {
	b.Helper()
	l := &load{party.Start(b, way)}
	l.Tell(addr)
	return l
}

// run makes n posts and returns how many a second.
func (l *load) run(n int) (rate float64) {
	l.Tell(n)
	l.Hear(&rate)
	return rate
}

// devices is the life of the other process.
func devices(in *json.Decoder, out *json.Encoder) (err error) {
	testing.Benchmark(func(b *testing.B) { // what opens sessions wants one
		var addr string
		if in.Decode(&addr) != nil {
			return // called once more, at the end
		}
		err = errors.New("the devices do not come in")
		all := make([]*poster, benchConns)
		for n := range all {
			all[n] = openers[party.Role()](b, addr, n)
		}
		err = nil
		for n := 0; err == nil && in.Decode(&n) == nil; {
			var rate float64
			if rate, err = postAll(all, n); err == nil {
				err = out.Encode(rate)
			}
		}
	})
	return err
}

// openers make device n by its way in. They speak CoAP by hand, so that the server
// is what is measured.
var openers = map[string]func(b *testing.B, addr string, n int) *poster{
	"bare UDP": func(b *testing.B, addr string, _ int) *poster {
		return newPoster(newSpeaker(b, addr).conn, bareMessage())
	},
	"bare DTLS": func(b *testing.B, addr string, _ int) *poster {
		conn, err := tryPSK(patience, addr, benchSuite)
		if err != nil {
			b.Fatal(err)
		}
		return newPoster(conn, bareMessage())
	},
	"hub UDP":  openUDP,
	"hub DTLS": openDTLS,
}

func bareMessage() message { return post(labPost, "a token of as many characters", []byte(benchBody)) }

func benchDevice(n int) iot.DeviceID {
	return iot.DeviceID{Product: lab.Product, Name: fmt.Sprintf("lab_dev_%02d", n)}
}

func openUDP(b *testing.B, addr string, n int) *poster {
	id, s := benchDevice(n), newSpeaker(b, addr)
	l := s.symmetric(labSecret, id)
	m := l.post("/topic/sys/"+id.String()+"/thing/event/property/post", []byte(benchBody))
	p := newPoster(s.conn, m)
	p.login, p.seqAt = l, bytes.Index(p.datagram, []byte(m.options[len(m.options)-1].value))
	return p
}

func openDTLS(b *testing.B, addr string, n int) *poster {
	id := benchDevice(n)
	key := auth.PSKKey(id, auth.NewSecret(labSecret), "1")
	conn, err := net.Dial("udp", addr)
	if err != nil {
		b.Fatal(err)
	}
	c, err := dialDTLS(patience, conn, append(withPSK(benchSuite), piondtls.WithPSKIdentityHint([]byte(auth.PSKIdentity(id, "1"))),
		piondtls.WithPSK(func([]byte) ([]byte, error) { return key, nil }))...)
	if err != nil {
		b.Fatal(err)
	}
	s := &speaker{t: b, conn: c}
	token := tokenOf(b, s.ask(post("/auth", "", []byte(signed(labSecret, id)))))
	return newPoster(c, post("/topic/sys/"+id.String()+"/thing/event/property/post", token, []byte(benchBody)))
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

// poster is a device with its request ready but for the numbers in it.
type poster struct {
	conn     net.Conn
	datagram []byte
	answer   []byte
	login    *login // without DTLS
	seqAt    int
}

func newPoster(conn net.Conn, m message) *poster {
	return &poster{conn: conn, datagram: m.bytes(), answer: make([]byte, 2048)}
}

// post sends the request and reads its answer. The kernel drops nothing between
// two sockets of one machine as long as their buffers do not fill.
func (p *poster) post() error {
	id := binary.BigEndian.Uint16(p.datagram[2:]) + 1
	binary.BigEndian.PutUint16(p.datagram[2:], id)
	if p.login != nil {
		var text [16]byte
		n := len(strconv.AppendInt(text[:0], int64(p.login.seq), 10))
		for i := n; i < len(text); i++ {
			text[i] = byte(len(text) - n)
		}
		p.login.seq++
		cipher.NewCBCEncrypter(p.login.block, []byte("543yhjy97ae7fyfg")).CryptBlocks(p.datagram[p.seqAt:p.seqAt+16], text[:])
	}
	if _, err := p.conn.Write(p.datagram); err != nil {
		return err
	}
	if err := p.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	n, err := p.conn.Read(p.answer)
	if err != nil {
		return err
	}
	if n < 4 || p.answer[1] != byte(coap.CodeContent) || binary.BigEndian.Uint16(p.answer[2:]) != id {
		return fmt.Errorf("answered %q", p.answer[:n])
	}
	return nil
}
