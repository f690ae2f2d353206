// SPDX-License-Identifier: Apache-2.0

package http2

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
)

const headerQoS = "X-Qos"

// outcome is what became of a message.
type outcome struct {
	id  int64
	err error
}

// channelOf returns the connection a request is for; else it answers.
func (h *Handler) channelOf(w http.ResponseWriter, r *http.Request) *channel {
	c := h.channels.find(r.Header.Get(headerChannel))
	if c == nil || !c.usable() {
		fail(w, http.StatusGone, "no such connection")
		return nil
	}
	c.alive()
	return c
}

// body reads a body of at most MaxBody bytes, which takes no more memory than
// twice what arrives. Else it answers.
func (h *Handler) body(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	most := int64(h.cfg.MaxBody)
	if r.ContentLength >= 0 {
		r.Body = exactly(r.Body, min(r.ContentLength, most+1))
	}
	pace := h.pace(w, r.Body)
	defer pace.end()
	b, err := io.ReadAll(io.LimitReader(pace, most+1))
	switch {
	case err != nil:
		fail(w, http.StatusBadRequest, "body is not whole")
		return nil, false
	case int64(len(b)) > most || r.ContentLength > most:
		fail(w, http.StatusRequestEntityTooLarge, "body is too long")
		return nil, false
	}
	return b, true
}

// publish serves /h2/publish/{topic}. The response follows the commit.
func (h *Handler) publish(w http.ResponseWriter, r *http.Request) {
	c := h.channelOf(w, r)
	if c == nil {
		return
	}
	qos := iot.AtLeastOnce
	switch r.Header.Get(headerQoS) {
	case "", "1":
	case "0":
		qos = iot.AtMostOnce
	default:
		fail(w, http.StatusBadRequest, "x-qos is 0 or 1")
		return
	}
	if !c.place(r) { // before a byte of the body takes memory
		fail(w, http.StatusGone, "no such connection")
		return
	}
	payload, ok := h.body(w, r)
	if !ok {
		<-c.window
		return
	}
	m := iot.Message{Topic: r.URL.Path[len(pathPublish)-1:], Payload: payload, QoS: qos}
	result := make(chan outcome, 1)
	if !c.enter(r, func() { c.receive(r, m, result) }) {
		<-c.window
		fail(w, http.StatusGone, "no such connection")
		return
	}
	select {
	case o := <-result:
		h.published(w, r, c, o)
	case <-c.ended:
		select {
		case o := <-result: // it was kept, and then the connection ended
			h.published(w, r, c, o)
		default:
			fail(w, http.StatusGone, "the connection ended")
		}
	case <-r.Context().Done(): // the bytes are the platform's until done
	}
}

// place waits for a place in the window. It reports false when the connection or the
// request ended first.
func (c *channel) place(r *http.Request) bool {
	select {
	case c.window <- struct{}{}:
		return true
	case <-c.ended:
	case <-r.Context().Done():
	}
	return false
}

// enter calls f when it is this request's turn. It reports false when the
// connection or the request ended first.
func (c *channel) enter(r *http.Request, f func()) bool {
	select {
	case c.turn <- struct{}{}:
	case <-c.ended:
		return false
	case <-r.Context().Done():
		return false
	}
	defer func() { <-c.turn }()
	f()
	return true
}

// receive hands a message to the platform. Its place in the window is free again when
// that is done.
func (c *channel) receive(r *http.Request, m iot.Message, result chan<- outcome) {
	done := func(id int64, answers []iot.Message, err error) {
		<-c.window
		for _, a := range answers {
			c.Send(r.Context(), hal.Delivery{Message: a}, nil) // who does not read misses it
		}
		result <- outcome{id, err}
	}
	// The connection outlives the request, and so may the message.
	if n, ok := c.session.(hal.NumberedReceiver); ok {
		n.ReceiveNumbered(r.Context(), m, done)
		return
	}
	c.session.Receive(r.Context(), m, func(answers []iot.Message, err error) { done(0, answers, err) })
}

func (h *Handler) published(w http.ResponseWriter, r *http.Request, c *channel, o outcome) {
	_, rejected := errors.AsType[*hal.RejectedError](o.err)
	switch {
	case o.err == nil:
		head := w.Header()
		head.Set("Content-Type", "application/json")
		_, _ = w.Write(append(strconv.AppendInt([]byte(`{"messageId":"`), o.id, 10), `"}`...)) // who is gone needs no answer
	case errors.Is(o.err, hal.ErrThrottled):
		fail(w, http.StatusTooManyRequests, "too many messages")
	case rejected:
		fail(w, http.StatusUnprocessableEntity, "message is not processed")
	case r.Context().Err() != nil: // the device gave up waiting for its turn
	default:
		fail(w, http.StatusInternalServerError, "message is not kept")
		c.Close(hal.CauseNotKept)
	}
}

// subscription is the body of /h2/subscribe, and of /h2/unsubscribe, which looks at
// topics only.
type subscription struct {
	Filters []filter `json:"filters"`
}

type filter struct {
	Topic string  `json:"topic"`
	QoS   iot.QoS `json:"qos"`
}

// granted answers a subscription: 0 or 1 for each filter, 128 for one refused.
type granted struct {
	Grants []int `json:"grants"`
}

// subscribe serves /h2/subscribe and /h2/unsubscribe.
func (h *Handler) subscribe(w http.ResponseWriter, r *http.Request) {
	c := h.channelOf(w, r)
	if c == nil {
		return
	}
	if !c.place(r) {
		fail(w, http.StatusGone, "no such connection")
		return
	}
	defer func() { <-c.window }()
	raw, ok := h.body(w, r)
	if !ok {
		return
	}
	var s subscription
	if err := json.Unmarshal(raw, &s); err != nil || len(s.Filters) == 0 {
		fail(w, http.StatusBadRequest, "body is not a list of filters")
		return
	}
	answer := granted{Grants: make([]int, len(s.Filters))}
	if !c.enter(r, func() { c.change(r, &s, &answer) }) {
		fail(w, http.StatusGone, "no such connection")
		return
	}
	body, _ := json.Marshal(answer) // numbers always can be
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // who is gone needs no answer
}

func (c *channel) change(r *http.Request, s *subscription, answer *granted) {
	sub, ok := c.session.(hal.Subscriber)
	if r.URL.Path == pathUnsubscribe {
		var topics []string
		for _, f := range s.Filters {
			topics = append(topics, f.Topic)
		}
		if ok {
			sub.Unsubscribe(r.Context(), topics)
		}
		return
	}
	var filters []hal.Filter
	for i, f := range s.Filters {
		filters = append(filters, hal.Filter{Topic: f.Topic, QoS: f.QoS})
		answer.Grants[i] = int(hal.Refused)
	}
	if !ok {
		return
	}
	for i, g := range sub.Subscribe(r.Context(), filters) {
		answer.Grants[i] = int(g)
	}
}
