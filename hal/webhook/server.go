// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
)

// ErrServerClosed is what Consume returns after Close.
var ErrServerClosed = errors.New("webhook: server closed")

// Server answers a broker's questions and holds a session for each device that
// is logged in there. It is an http.Handler and safe for concurrent use.
type Server struct {
	cfg     Config
	base    context.Context // of what is not asked over HTTP
	cancel  context.CancelFunc
	running sync.WaitGroup // goroutines of clients
	outbox  *outbox
	echoes  echoes
	dropped atomic.Uint64
	came    atomic.Uint64 // messages
	telling atomic.Bool   // Stranger runs

	mu      sync.Mutex
	closed  bool
	busy    bool            // a Consume runs
	account *Consumer       // of the consumer, while it is connected
	gone    map[string]owed // clients whose end the broker did not announce yet
	logins  map[string]int  // under way, by client id
	clients map[string]*client
	devices map[iot.DeviceID]*client // whose connection speaks for a device
	estates map[iot.DeviceID]*estate // of devices that are to come back
}

// New returns a Server that runs no goroutine yet. The error tells what is wrong
// with cfg.
func New(cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg:     cfg,
		outbox:  newOutbox(),
		clients: make(map[string]*client),
		gone:    make(map[string]owed),
		logins:  make(map[string]int),
		devices: make(map[iot.DeviceID]*client),
		estates: make(map[iot.DeviceID]*estate),
	}
	s.base, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ok := s.admitted(r)
	if !ok {
		s.cfg.Logger.Warn("broker's request without the secret", "addr", r.RemoteAddr)
		http.Error(w, "forbidden", http.StatusForbidden)
		return
	}
	switch {
	case forms[path] == nil:
		http.NotFound(w, r)
		return
	case r.Method != http.MethodPost:
		http.Error(w, "POST is expected", http.StatusMethodNotAllowed)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.Timeout)
	defer cancel()
	s.answer(ctx, path, w, r).write(w)
}

// answer asks one form. Whatever goes wrong is a denial in the broker's words.
func (s *Server) answer(ctx context.Context, path string, w http.ResponseWriter, r *http.Request) (a reply) {
	answer := forms[path]
	q := &request{header: r.Header}
	defer func() {
		if p := recover(); p != nil {
			s.cfg.Logger.Error("panic while a question was answered", "path", path, "panic", p)
			q.err = errPanic
			a = answer(s, ctx, q)
		}
	}()
	q.read(http.MaxBytesReader(w, r.Body, s.cfg.MaxBody), r.Header.Get("Content-Type"))
	if q.err != nil {
		s.cfg.Logger.Warn("broker's request is unreadable", "path", path, "err", q.err)
	}
	return answer(s, ctx, q)
}

// admitted checks the secret and returns the path without it.
func (s *Server) admitted(r *http.Request) (path string, ok bool) {
	secret := []byte(s.cfg.Secret.Reveal())
	if shown, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); found {
		return r.URL.Path, subtle.ConstantTimeCompare([]byte(shown), secret) == 1
	}
	shown, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	return "/" + rest, subtle.ConstantTimeCompare([]byte(shown), secret) == 1
}

func goodSecret(s string) bool { return s != "" && !strings.Contains(s, "/") }

// End tells that a client's connection ended, for presence from a source the
// Server does not know. A client that is not logged in is no error.
func (s *Server) End(clientID string, cause hal.Cause) {
	if c := s.client(clientID); c != nil {
		c.end(cause)
	}
}

// Clients returns how many clients are logged in, silent ones included.
func (s *Server) Clients() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.clients)
}

// Dropped returns how many messages were taken from the broker and belonged to
// nobody who is logged in, or found a device's queue full.
func (s *Server) Dropped() uint64 { return s.dropped.Load() }

// Close ends all sessions with hal.CauseServerStop and a Consume that runs, waits
// for their goroutines, and returns nil. It is idempotent.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.abandon()
	clients := make([]*client, 0, len(s.clients))
	for _, c := range s.clients {
		clients = append(clients, c)
	}
	s.mu.Unlock()
	s.cancel()
	for _, c := range clients {
		c.end(hal.CauseServerStop)
	}
	s.outbox.close()
	s.running.Wait()
	return nil
}

// run starts a goroutine Close waits for, unless it is too late.
func (s *Server) run(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		f()
	}()
	return true
}
