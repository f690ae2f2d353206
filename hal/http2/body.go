// SPDX-License-Identifier: Apache-2.0

package http2

import (
	"io"
	"net/http"
	"sync"
	"time"
)

// exactly ends a body after n bytes, whether its stream ended there or not.
func exactly(body io.ReadCloser, n int64) io.ReadCloser {
	return struct {
		io.Reader
		io.Closer
	}{&lengthReader{body, n}, body}
}

// lengthReader yields n bytes, or fails.
type lengthReader struct {
	r    io.Reader
	left int64
}

// Read implements io.Reader.
func (l *lengthReader) Read(b []byte) (int, error) {
	if l.left == 0 {
		return 0, io.EOF
	}
	n, err := l.r.Read(b[:min(int64(len(b)), l.left)])
	l.left -= int64(n)
	if err == io.EOF && l.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// paced reads a body that must keep up a rate: who drips is cut off.
type paced struct {
	body    io.Reader
	control *http.ResponseController
	start   time.Time
	first   time.Duration
	rate    int
	got     int64
	renewed time.Time

	mu   sync.Mutex
	over bool // the handler of the request ends, or ended
	cut  bool
}

func (h *Handler) pace(w http.ResponseWriter, body io.Reader) *paced {
	now := time.Now()
	p := &paced{body: body, control: http.NewResponseController(w), start: now, first: h.cfg.ReadTimeout, rate: h.cfg.MinRate}
	p.renew(now)
	return p
}

// Read implements io.Reader.
func (p *paced) Read(b []byte) (int, error) {
	n, err := p.body.Read(b)
	p.got += int64(n)
	if now := time.Now(); now.Sub(p.renewed) > p.first/8 {
		p.renew(now)
	}
	return n, err
}

// renew moves the deadline by what has come.
func (p *paced) renew(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.renewed = now
	if !p.cut && !p.over {
		// What does not support deadlines has none: a recorder in a test.
		_ = p.control.SetReadDeadline(p.start.Add(p.first + time.Duration(p.got)*time.Second/time.Duration(p.rate)))
	}
}

// stop ends a Read that waits, from another goroutine.
func (p *paced) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	if !p.over {
		_ = p.control.SetReadDeadline(time.Now())
	}
}

// end is called before the handler of the request returns.
func (p *paced) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
}
