// SPDX-License-Identifier: Apache-2.0

package http2

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
)

const (
	headerUserName  = "X-Auth-Param-User-Name"
	headerPassword  = "X-Auth-Param-Password"
	headerClientID  = "X-Auth-Param-Client-Id"
	headerKeepAlive = "X-Keep-Alive"
	headerClean     = "X-Clean-Session"
	headerImplicit  = "X-Server-Subscribe"
	headerResumed   = "X-Session-Present"

	// authTriple is the login with what MQTT devices show.
	authTriple = "mqtt"

	defaultKeepAlive = 60 * time.Second
	pingEvery        = 30 * time.Second
	maxUnacked       = 100
)

// status is the JSON of answers that are not a success.
type status struct {
	Message string `json:"message"`
}

func fail(w http.ResponseWriter, code int, message string) {
	w.Header().Set("Content-Type", "application/json")
	body, _ := json.Marshal(status{message}) // a text always can be
	w.WriteHeader(code)
	_, _ = w.Write(body) // who is gone needs no answer
}

// connect serves /h2/connect: it logs a device in and keeps the request open.
func (h *Handler) connect(w http.ResponseWriter, r *http.Request) {
	req, err := connectRequest(r)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.cfg.ConnectTimeout)
	defer cancel()
	c := newChannel(rand.Text(), &h.cfg, cancel)
	if !h.channels.add(c) {
		fail(w, http.StatusServiceUnavailable, "server stops")
		return
	}
	defer h.channels.remove(c)
	defer c.gone()
	req.Link = c
	acc, err := h.cfg.Platform.Connect(ctx, req)
	if err != nil {
		c.Close(hal.CauseReset)
		fail(w, statusOf(err), "login refused")
		return
	}
	c.accept(acc.Session, orDefault(acc.MaxUnacked, maxUnacked))
	defer func() { // also after a panic
		c.Close(hal.CauseReset)
		c.session.Close(c.why())
	}()
	h.run(w, r, c, &acc)
}

// connectRequest reads a login: the triple of MQTT, or the signed parameters that
// data streams are opened with.
func connectRequest(r *http.Request) (*hal.ConnectRequest, error) {
	req := &hal.ConnectRequest{
		Protocol: "http2", Version: 4, Kind: hal.Connection, TLS: r.TLS, RemoteAddr: addr(r.RemoteAddr),
		KeepAlive: defaultKeepAlive, CleanSession: r.Header.Get(headerClean) != "0",
	}
	if text := r.Header.Get(headerKeepAlive); text != "" {
		seconds, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return nil, errors.New("x-keep-alive is not a number of seconds")
		}
		req.KeepAlive = time.Duration(seconds) * time.Second
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		req.Credential = auth.Certificate(r.TLS.VerifiedChains[0])
	}
	switch name := r.Header.Get(headerAuthName); {
	case strings.EqualFold(name, authTriple):
		req.ClientID, req.UserName = r.Header.Get(headerClientID), r.Header.Get(headerUserName)
		if password := r.Header.Get(headerPassword); password != "" && req.Credential == nil {
			req.Credential = auth.NewPassword(password)
		}
	case strings.EqualFold(name, authDeviceName):
		p, err := proof(r.Header)
		if err != nil {
			return nil, err
		}
		asTriple(req, &p, r.Header.Get(headerImplicit) != "0")
	default:
		return nil, errors.New("x-auth-name is devicename or mqtt")
	}
	return req, nil
}

// asTriple writes a proof as MQTT devices show theirs.
func asTriple(req *hal.ConnectRequest, p *hal.Proof, implicit bool) {
	id, more := "", ""
	for _, param := range p.Params {
		switch param.Key {
		case "clientId":
			id = param.Value
		case "timestamp":
			more = ",timestamp=" + param.Value
		}
	}
	if implicit {
		more += ",_ss=1"
	}
	if p.Method == 0 {
		p.Method = auth.HMACMD5
	}
	req.ClientID = id + "|securemode=2,signmethod=" + p.Method.String() + more + "|"
	req.UserName = p.Device.Name + "&" + p.Device.Product
	if req.Credential == nil {
		req.Credential = auth.NewPassword(p.Sign)
	}
}

// run is a connection from its acceptance to its end.
func (h *Handler) run(w http.ResponseWriter, r *http.Request, c *channel, acc *hal.Accepted) {
	control := http.NewResponseController(w)
	_ = control.EnableFullDuplex() // HTTP/2 always is
	head := w.Header()
	head.Set("Content-Type", "application/x-ndjson")
	head.Set("Cache-Control", "no-store")
	head.Set(headerChannel, c.id)
	head.Set(headerResumed, "0")
	if acc.Resumed {
		head.Set(headerResumed, "1")
	}
	w.WriteHeader(http.StatusOK)
	c.mu.Lock()
	c.control = control
	c.mu.Unlock()
	var reading sync.WaitGroup
	reading.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				h.cfg.Logger.Error("connection panicked", "panic", p, "stack", string(debug.Stack()))
				c.Close(hal.CauseReset)
			}
		}()
		c.read(r.Body)
	})
	wr := &writer{channel: c, w: w, control: control, timeout: h.cfg.WriteTimeout, silence: acc.KeepAlive}
	wr.run(r.Context())
	c.mu.Lock()
	c.control = nil
	c.mu.Unlock()
	_ = control.SetReadDeadline(time.Now()) // ends the reader
	_ = r.Body.Close()
	reading.Wait()
}

// read takes the lines of the device until it ends its body.
func (c *channel) read(body io.Reader) {
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 0, 512), maxUp)
	for lines.Scan() {
		c.alive()
		u, err := parseUp(lines.Bytes())
		if err != nil {
			c.Close(hal.CauseProtocol)
			return
		}
		c.answer(&u)
	}
	switch err := lines.Err(); {
	case err == nil:
		c.Close(hal.CauseClient)
	case errors.Is(err, bufio.ErrTooLong):
		c.Close(hal.CauseProtocol)
	default:
		c.Close(hal.CauseReset)
	}
}

// writer sends what is for the device.
type writer struct {
	*channel
	w       http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
	silence time.Duration // the longest one allowed; 0 any
}

// run sends until the connection ends.
func (wr *writer) run(ctx context.Context) {
	_ = wr.control.Flush() // the headers
	timer := time.NewTimer(pingEvery)
	defer timer.Stop()
	ping := time.Now().Add(pingEvery)
	for {
		now := time.Now()
		next := ping
		if due := wr.due(now); !due.IsZero() && due.Before(next) {
			next = due
		}
		if wr.silence > 0 {
			left := wr.silence - wr.channel.silence()
			if left <= 0 {
				wr.Close(hal.CauseKeepAlive)
			} else if quiet := now.Add(left); quiet.Before(next) {
				next = quiet
			}
		}
		list := wr.waiting()
		if len(list) == 0 && !now.Before(ping) {
			list = []outgoing{{line: appendPing(nil, now)}}
		}
		if !wr.write(list) {
			return
		}
		if len(list) > 0 {
			ping = now.Add(pingEvery)
			continue
		}
		timer.Reset(time.Until(next))
		select {
		case <-wr.wake:
		case <-timer.C:
		case <-ctx.Done():
			wr.Close(hal.CauseReset)
			return
		case <-wr.ended:
			wr.last()
			return
		}
	}
}

// write sends lines. It reports whether there may be more.
func (wr *writer) write(list []outgoing) bool {
	if len(list) == 0 {
		return true
	}
	wr.mu.Lock()
	if wr.cause == "" {
		_ = wr.control.SetWriteDeadline(time.Now().Add(wr.timeout))
	}
	wr.mu.Unlock()
	err := error(nil)
	for _, o := range list {
		if err == nil && len(o.line) > 0 {
			_, err = wr.w.Write(o.line)
		}
	}
	if err == nil {
		err = wr.control.Flush()
	}
	if err != nil {
		wr.mu.Lock()
		wr.queue = append(list, wr.queue...) // for gone
		wr.mu.Unlock()
		wr.Close(hal.CauseSlow)
		return false
	}
	wr.written(list)
	return true
}

// last sends what was sent before the end, and why it ends.
func (wr *writer) last() {
	list := append(wr.waiting(), outgoing{line: appendEnd(nil, wr.why())})
	wr.write(list)
}
