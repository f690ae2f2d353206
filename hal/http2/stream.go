// SPDX-License-Identifier: Apache-2.0

package http2

import (
	"context"
	"crypto/rand"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
)

const (
	headerDataStream = "X-Data-Stream-Id"
	headerStatus     = "X-Response-Status"
	headerRequest    = "X-Request-Id"
	headerQuery      = "X-Test-Downstream"
)

// dataStream is a data stream of a device (wire facts section 8.1): a login that
// several requests share. Who knows its id speaks for the device, as with a token.
type dataStream struct {
	id, service string
	device      iot.DeviceID
	token       auth.Secret
	upload      *upload // nil unless it is one

	// guarded by streams.mu
	used time.Time
	busy int // requests being served
}

// streams are the data streams that are open.
type streams struct {
	mu      sync.Mutex
	all     map[string]*dataStream
	of      map[iot.DeviceID]int
	swept   time.Time
	uploads map[uploadKey]*upload
}

func (l *streams) init() {
	l.all, l.of, l.uploads = map[string]*dataStream{}, map[iot.DeviceID]int{}, map[uploadKey]*upload{}
}

// add takes a stream in, and reports whether there was room. Of a device that has
// too many the one that is idle for longest goes: it lost connections, and does not
// know the others any more.
func (l *streams) add(s *dataStream, most int, idle time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if len(l.all) >= most || now.Sub(l.swept) > idle/4 {
		l.swept = now
		l.sweep(now.Add(-idle))
	}
	if l.of[s.device] >= streamsOfDevice {
		l.evict(s.device)
	}
	if len(l.all) >= most || l.of[s.device] >= streamsOfDevice {
		return false
	}
	s.used = now
	l.all[s.id] = s
	l.of[s.device]++
	return true
}

// sweep removes what nobody used since; the lock is held.
func (l *streams) sweep(since time.Time) {
	for _, s := range l.all {
		if s.busy == 0 && s.used.Before(since) {
			l.remove(s)
		}
	}
}

// evict removes the stream of a device that is idle for longest; the lock is held.
func (l *streams) evict(device iot.DeviceID) {
	var oldest *dataStream
	for _, s := range l.all {
		if s.device == device && s.busy == 0 && (oldest == nil || s.used.Before(oldest.used)) {
			oldest = s
		}
	}
	if oldest != nil {
		l.remove(oldest)
	}
}

// find returns an open stream of a service for a request, which must release it.
func (l *streams) find(id, service string, idle time.Duration) *dataStream {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.all[id]
	if s == nil || s.service != service || s.busy == 0 && time.Since(s.used) > idle {
		return nil
	}
	s.busy++
	return s
}

func (l *streams) release(s *dataStream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.busy--
	s.used = time.Now()
}

func (l *streams) close(s *dataStream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remove(s)
}

// remove takes s out; the lock is held.
func (l *streams) remove(s *dataStream) {
	if l.all[s.id] != s {
		return
	}
	delete(l.all, s.id)
	if l.of[s.device]--; l.of[s.device] == 0 {
		delete(l.of, s.device)
	}
	if u := s.upload; u != nil && u.owner == s {
		u.owner = nil // a request of s that still waits for its turn has come too late
		delete(l.uploads, u.key)
	}
}

// stream serves /stream/. Some SDKs ask with GET where others use POST, and double
// the slash in front of the service.
func (h *Handler) stream(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost && r.Method != http.MethodGet {
		failStream(w, http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set(headerRequest, h.requestID())
	verb, service, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, pathStream), "/")
	service = strings.Trim(service, "/")
	if verb == "open" {
		h.openStream(w, r, service)
		return
	}
	s := h.streams.find(r.Header.Get(headerDataStream), service, h.cfg.StreamIdle)
	if s == nil {
		failStream(w, http.StatusNotFound)
		return
	}
	defer h.streams.release(s)
	if err := h.verify(r.Context(), s); err != nil {
		h.streams.close(s)
		failStream(w, statusOf(err))
		return
	}
	switch verb {
	case "send":
		h.sendStream(w, r, s)
	case "close":
		h.closeStream(w, r, s)
	default:
		failStream(w, http.StatusNotFound)
	}
}

// verify checks that the device of a stream may still speak.
func (h *Handler) verify(ctx context.Context, s *dataStream) error {
	id, err := h.cfg.Platform.VerifyToken(ctx, auth.NewToken(s.token.Reveal()), auth.UseRequests)
	if err == nil && id != s.device {
		return auth.ErrBadSign
	}
	return err
}

// failStream answers with a status. The SDKs wait until they have seen both headers.
func failStream(w http.ResponseWriter, status int) {
	w.Header()[headerDataStream] = []string{"-"}
	w.Header().Set(headerStatus, strconv.Itoa(status))
	w.WriteHeader(status)
}

// ok sets the headers of a success.
func (s *dataStream) ok(w http.ResponseWriter) {
	w.Header().Set(headerDataStream, s.id)
	w.Header().Set(headerStatus, "200")
}

func (h *Handler) openStream(w http.ResponseWriter, r *http.Request, service string) {
	p, err := proof(r.Header)
	if err != nil {
		failStream(w, statusOf(err))
		return
	}
	p.RemoteAddr = addr(r.RemoteAddr)
	ctx, cancel := context.WithTimeout(r.Context(), h.cfg.ConnectTimeout)
	defer cancel()
	g, err := h.cfg.Platform.IssueToken(ctx, &p, auth.UseRequests)
	if err != nil {
		failStream(w, statusOf(err))
		return
	}
	s := &dataStream{id: "DS" + rand.Text(), service: service, device: p.Device, token: g.Token}
	if service != uploadService && h.service(service) == nil {
		failStream(w, http.StatusNotFound)
		return
	}
	if !h.streams.add(s, h.cfg.MaxStreams, h.cfg.StreamIdle) {
		failStream(w, http.StatusTooManyRequests)
		return
	}
	if service == uploadService {
		if status := h.openUpload(ctx, w, r, s); status != http.StatusOK {
			h.streams.close(s)
			failStream(w, status)
			return
		}
	}
	s.ok(w)
}

func (h *Handler) sendStream(w http.ResponseWriter, r *http.Request, s *dataStream) {
	if r.ContentLength >= 0 { // clients leave END_STREAM out (wire facts section 1 row 40)
		r.Body = exactly(r.Body, r.ContentLength)
	}
	query := r.Header.Get(headerQuery) != "" || r.Method == http.MethodGet && r.ContentLength == 0
	switch {
	case s.upload != nil && query:
		h.uploaded(w, r, s)
	case s.upload != nil:
		h.sendUpload(w, r, s)
	default:
		h.serve(w, r, s)
	}
}

func (h *Handler) closeStream(w http.ResponseWriter, r *http.Request, s *dataStream) {
	status := http.StatusOK
	if s.upload != nil {
		status = h.closeUpload(w, r, s)
	}
	h.streams.close(s)
	if status != http.StatusOK {
		failStream(w, status)
		return
	}
	s.ok(w)
}
