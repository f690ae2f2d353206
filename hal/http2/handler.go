// SPDX-License-Identifier: Apache-2.0

package http2

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/openalink/iot/hal"
)

// Platform is what a Handler asks. *hub.Hub is one.
type Platform interface {
	hal.Access
	hal.Tokens
}

// Config says whom a Handler speaks for, and its bounds. Platform is required; the
// zero value of everything else is a good choice.
type Config struct {
	Platform Platform
	// Blobs take the files that devices upload; nil refuses uploads.
	Blobs Blobs
	// Service returns what serves the data streams of a service id other than that of
	// uploads; nil, also as its answer, is a service that does not exist. See Device.
	Service func(id string) http.Handler

	MaxBody    int           // of a message; 0 means 256 KB
	MaxFile    int64         // of an upload; 0 means 1 GB
	MaxStreams int           // data streams open at once; 0 means 4096, and 16 of one device
	StreamIdle time.Duration // after which a data stream is closed; 0 means 10 min
	// ReadTimeout is how long the first bytes of a body may take, and with it the rest
	// at MinRate bytes a second; 0 means 30 s and 1 KB a second.
	ReadTimeout time.Duration
	MinRate     int
	// WriteTimeout is how long a client may take nothing; 0 means 30 s.
	WriteTimeout time.Duration
	// ConnectTimeout bounds how long the platform decides about a login; 0 means 10 s.
	ConnectTimeout time.Duration
	// MaxOutgoing is how many bytes may wait for a client; 0 means 512 KB. What is sent
	// beyond fails with hal.ErrFull.
	MaxOutgoing int
	// Redeliver is after how long a message that is not answered comes again; 0 means
	// 30 s.
	Redeliver time.Duration
	// Logger hears of panics; nil discards.
	Logger *slog.Logger
}

// streamsOfDevice is how many data streams one device may have open.
const streamsOfDevice = 16

func (cfg *Config) check() error {
	if cfg.Platform == nil {
		return errors.New("http2: Config.Platform is nil")
	}
	cfg.MaxBody = orDefault(cfg.MaxBody, 256<<10)
	cfg.MaxFile = orDefault(cfg.MaxFile, 1<<30)
	cfg.MaxStreams = orDefault(cfg.MaxStreams, 4096)
	cfg.StreamIdle = orDefault(cfg.StreamIdle, 10*time.Minute)
	cfg.ReadTimeout = orDefault(cfg.ReadTimeout, 30*time.Second)
	cfg.MinRate = orDefault(cfg.MinRate, 1<<10)
	cfg.WriteTimeout = orDefault(cfg.WriteTimeout, 30*time.Second)
	cfg.ConnectTimeout = orDefault(cfg.ConnectTimeout, 10*time.Second)
	cfg.MaxOutgoing = orDefault(cfg.MaxOutgoing, 512<<10)
	cfg.Redeliver = orDefault(cfg.Redeliver, 30*time.Second)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

func orDefault[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}

// Handler serves
//
//	/stream/open/{service}, /stream/send/{service}, /stream/close/{service}
//
// for devices of the wire facts, section 8.1, and
//
//	POST /h2/connect, /h2/publish/{topic}, /h2/subscribe, /h2/unsubscribe
//
// for connections as docs/http2.md describes them. The latter need HTTP/2. It is
// 404 elsewhere. It is safe for concurrent use.
type Handler struct {
	cfg      Config
	streams  streams
	channels channels
	requests atomic.Int64 // number of the last one
}

// NewHandler makes a Handler. It fails without a platform.
func NewHandler(cfg Config) (*Handler, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	h := &Handler{cfg: cfg}
	h.streams.init()
	h.channels.init()
	h.requests.Store(time.Now().UnixNano())
	return h, nil
}

// The paths served.
const (
	pathStream      = "/stream/"
	pathChannel     = "/h2/"
	pathConnect     = "/h2/connect"
	pathPublish     = "/h2/publish/"
	pathSubscribe   = "/h2/subscribe"
	pathUnsubscribe = "/h2/unsubscribe"
)

// Serves reports whether a path is one of a Handler, for who mounts one beside
// others.
func Serves(path string) bool {
	return strings.HasPrefix(path, pathStream) || strings.HasPrefix(path, pathChannel)
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer h.recovered(r)
	path := r.URL.Path
	switch {
	case strings.HasPrefix(path, pathStream):
		h.stream(w, r)
	case r.ProtoMajor < 2 && strings.HasPrefix(path, pathChannel):
		fail(w, http.StatusHTTPVersionNotSupported, "HTTP/2 is needed")
	case r.Method != http.MethodPost && strings.HasPrefix(path, pathChannel):
		fail(w, http.StatusMethodNotAllowed, "POST is needed")
	case path == pathConnect:
		h.connect(w, r)
	case strings.HasPrefix(path, pathPublish):
		h.publish(w, r)
	case path == pathSubscribe, path == pathUnsubscribe:
		h.subscribe(w, r)
	default:
		http.NotFound(w, r)
	}
}

// recovered is deferred: a panic of the platform's costs one request. The server is
// left to reset its stream.
func (h *Handler) recovered(r *http.Request) {
	if p := recover(); p != nil {
		if p != http.ErrAbortHandler { //nolint:errorlint // as net/http compares it
			h.cfg.Logger.Error("request panicked", "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
		}
		panic(http.ErrAbortHandler)
	}
}

// Shutdown ends connections after what was sent to them has left, and refuses new
// ones. It returns when all are gone, or with ctx's error.
func (h *Handler) Shutdown(ctx context.Context) error {
	return h.channels.shutdown(ctx)
}

// Close ends connections. It is idempotent and waits for them, for a moment at
// most.
func (h *Handler) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*lastWords)
	defer cancel()
	return h.channels.shutdown(ctx)
}

// requestID numbers answers; some clients send it back.
func (h *Handler) requestID() string { return strconv.FormatInt(h.requests.Add(1), 10) }

// statusOf is the answer to a login that failed.
func statusOf(err error) int {
	refused, ok := errors.AsType[*hal.RefusedError](err)
	switch {
	case errors.Is(err, hal.ErrThrottled):
		return http.StatusTooManyRequests
	case isBadProof(err):
		return http.StatusUnauthorized
	case !ok:
		return http.StatusServiceUnavailable
	}
	switch refused.Reason {
	case hal.BadVersion:
		return http.StatusHTTPVersionNotSupported
	case hal.BadClientID:
		return http.StatusBadRequest
	case hal.BadCredentials:
		return http.StatusUnauthorized
	case hal.NotAuthorized:
		return http.StatusForbidden
	case hal.Unavailable:
	}
	return http.StatusServiceUnavailable
}

// addr is a client's address as net/http gives it, parsed by who needs it.
type addr string

// Network implements net.Addr.
func (addr) Network() string { return "tcp" }

// String implements net.Addr.
func (a addr) String() string { return string(a) }
