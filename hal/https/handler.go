// SPDX-License-Identifier: Apache-2.0

package https

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/openalink/iot/hal"
)

// Platform is what a Handler asks. *hub.Hub is one. What a Session tells of
// itself as hal.Numbered goes into answers.
type Platform interface {
	hal.Access
	hal.Tokens
}

// Config says whom a Handler speaks for, and its bounds.
type Config struct {
	Platform Platform
	// MaxBody is the largest body in bytes; 0 means 128 KB. A larger one is answered
	// with CodeParam.
	MaxBody int
	// ReadTimeout is how long a body may take to arrive; 0 means 30 s. That of the
	// header is the HTTP server's to bound.
	ReadTimeout time.Duration
	// TimestampWindow refuses a login whose timestamp is further off; 0 means 15
	// minutes, below 0 takes any. Logins without one are always taken (wire facts
	// section 1 row 16).
	TimestampWindow time.Duration
	// Logger hears of panics; nil discards.
	Logger *slog.Logger
}

const (
	defaultMaxBody         = 128 << 10
	defaultReadTimeout     = 30 * time.Second
	defaultTimestampWindow = 15 * time.Minute
	maxLogin               = 8 << 10
)

// Handler serves
//
//	POST /auth           a login, answered with a token
//	POST /topic/{topic}  a message; the token is in the header "password"
//
// and 404 elsewhere. Queries are ignored. Mount it without http.ServeMux cleaning
// paths in front of it if topics with empty levels are to be answered with a code
// instead of a redirect. It is safe for concurrent use and keeps nothing between
// requests.
type Handler struct {
	cfg       Config
	exchanges sync.Pool // of *exchange
}

// NewHandler makes a Handler. It fails without a platform.
func NewHandler(cfg Config) (*Handler, error) {
	if cfg.Platform == nil {
		return nil, errors.New("https: Config.Platform is nil")
	}
	if cfg.MaxBody <= 0 {
		cfg.MaxBody = defaultMaxBody
	}
	if cfg.ReadTimeout <= 0 {
		cfg.ReadTimeout = defaultReadTimeout
	}
	if cfg.TimestampWindow == 0 {
		cfg.TimestampWindow = defaultTimestampWindow
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Handler{cfg: cfg, exchanges: sync.Pool{New: newExchange}}, nil
}

// The paths served.
const (
	pathAuth  = "/auth"
	pathTopic = "/topic/"
)

// Serves reports whether a path is one of a Handler, for who mounts one beside
// others.
func Serves(path string) bool {
	return path == pathAuth || strings.HasPrefix(path, pathTopic)
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !Serves(r.URL.Path) {
		http.NotFound(w, r)
		return
	}
	defer h.recovered(w, r)
	switch {
	case r.Method != http.MethodPost:
		h.refuse(w, r, CodeCommon)
	case r.URL.Path == pathAuth:
		h.login(w, r)
	default:
		h.publish(w, r)
	}
}

// recovered is deferred: a panic of the platform's costs one request.
func (h *Handler) recovered(w http.ResponseWriter, r *http.Request) {
	if p := recover(); p != nil {
		h.cfg.Logger.Error("request panicked", "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
		fail(w, CodeCommon)
	}
}

// refuse answers a request whose body nobody looks at. Over HTTP/2 it is let by first,
// if it is no longer than one may be: net/http resets a stream whose end it has not
// seen, and there are clients that lose the answer by that. Over HTTP/1 net/http lets it
// by itself.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, c Code) {
	if r.ProtoMajor >= 2 && r.ContentLength <= int64(h.cfg.MaxBody) && r.Header.Get("Expect") == "" {
		h.limitTime(w, r)
		_, _ = io.CopyN(io.Discard, r.Body, int64(h.cfg.MaxBody)) // whatever comes of it
	}
	fail(w, c)
}

// limitTime bounds how long a body may take.
func (h *Handler) limitTime(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		// What does not support deadlines has none: a recorder in a test.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(h.cfg.ReadTimeout))
	}
}

// body reads a body of at most limit bytes into b; it takes no more memory than
// twice what arrives.
func (h *Handler) body(w http.ResponseWriter, r *http.Request, b *bytes.Buffer, limit int) bool {
	if r.ContentLength > int64(limit) {
		return false
	}
	h.limitTime(w, r)
	_, err := b.ReadFrom(io.LimitReader(r.Body, int64(limit)+1))
	return err == nil && b.Len() <= limit
}

// addr is a client's address as net/http gives it, parsed by who needs it.
type addr string

// Network implements net.Addr.
func (addr) Network() string { return "tcp" }

// String implements net.Addr.
func (a addr) String() string { return string(a) }
