// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
)

// DataFormat is what the devices of a product speak.
type DataFormat string

// The formats.
const (
	// JSON is Alink as it is, the default.
	JSON DataFormat = "json"
	// Raw is bytes of the device's own, which a script or a codec turns into Alink
	// messages and back (wire facts section 16).
	Raw DataFormat = "raw"
)

// maxScript is the longest script, in bytes.
const maxScript = 48 << 10

// rawWorkers is how many messages of a product are decoded or encoded at once: at
// most every second processor, at least two. More wait, each connection's in order.
func rawWorkers() int { return max(2, runtime.GOMAXPROCS(0)/2) }

// slowCall is from when on a codec is slow: then its place in the pool rests for as
// long as the call took, so that a script that runs to its limit again and again
// leaves half of its processors to other products.
const slowCall = 10 * time.Millisecond

// ScriptEngine makes codecs of scripts. An error of Compile says what is wrong
// with the script, best as an *alink.CodeError of one of the script codes. A codec
// that is an io.Closer is closed when the product no longer needs it; it may be in
// use then.
type ScriptEngine interface {
	Compile(source string) (alink.RawCodec, error)
}

// rawProduct is the codec of a product and the pool it runs on.
type rawProduct struct {
	format DataFormat
	codec  alink.RawCodec // nil while there is none
	own    bool           // made of a script: closed with the product
	slots  chan struct{}
}

// newRaw makes what a product needs for its format and script; nil for plain JSON.
func (h *Hub) newRaw(p *Product) (*rawProduct, error) {
	switch p.DataFormat {
	case "", JSON, Raw:
	default:
		return nil, fmt.Errorf("%w: data format %.32q: json and raw are known", ErrInvalid, string(p.DataFormat))
	}
	if len(p.Script) > maxScript {
		return nil, fmt.Errorf("%w: script of %d bytes, at most %d", ErrInvalid, len(p.Script), maxScript)
	}
	r := &rawProduct{format: p.DataFormat, slots: make(chan struct{}, rawWorkers())}
	if h.codecs != nil {
		r.codec = h.codecs(p.Key)
	}
	if r.codec == nil && p.Script != "" {
		if h.scripts == nil {
			return nil, fmt.Errorf("%w: a script, but Config.Scripts is nil", ErrInvalid)
		}
		codec, err := h.scripts.Compile(p.Script)
		if err != nil {
			return nil, fmt.Errorf("%w: script: %w", ErrInvalid, err)
		}
		r.codec, r.own = codec, true
	}
	if r.format != Raw && r.codec == nil {
		return nil, nil
	}
	return r, nil
}

// close gives up what a script holds.
func (r *rawProduct) close() {
	if r == nil || !r.own {
		return
	}
	if c, ok := r.codec.(io.Closer); ok {
		_ = c.Close() // nobody is left to hear of it
	}
}

var errNoCodec = &alink.CodeError{Code: alink.CodeNoScript}

// run runs a codec's work on the pool of the product. A codec that panics fails
// that one message.
func (r *rawProduct) run(ctx context.Context, work func(alink.RawCodec) ([]byte, error)) (out []byte, err error) {
	if r.codec == nil {
		return nil, errNoCodec
	}
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	begin := time.Now()
	defer func() {
		if took := time.Since(begin); took > slowCall {
			time.AfterFunc(took, func() { <-r.slots })
		} else {
			<-r.slots
		}
		if p := recover(); p != nil {
			out, err = nil, fmt.Errorf("hub: codec panicked: %v", p)
		}
	}()
	return work(r.codec)
}

func (r *rawProduct) decode(ctx context.Context, id iot.DeviceID, raw []byte) ([]byte, error) {
	return r.run(ctx, func(c alink.RawCodec) ([]byte, error) { return c.Decode(ctx, id, raw) })
}

func (r *rawProduct) encode(ctx context.Context, id iot.DeviceID, message []byte) ([]byte, error) {
	return r.run(ctx, func(c alink.RawCodec) ([]byte, error) { return c.Encode(ctx, id, message) })
}

// transform turns the payload of a custom topic into JSON; without a codec that
// can, it stays as it is.
func (r *rawProduct) transform(ctx context.Context, id iot.DeviceID, name string, raw []byte) ([]byte, error) {
	if _, ok := r.codec.(alink.Transformer); !ok {
		return raw, nil
	}
	return r.run(ctx, func(c alink.RawCodec) ([]byte, error) {
		return c.(alink.Transformer).Transform(ctx, id, name, raw)
	})
}

// logScript makes the entry of a message a script or codec did not understand.
func (h *Hub) logScript(d *device, kind LogKind, name string, err error) {
	e := LogEntry{
		Device: d.id, Kind: kind, Operation: OpTransform, Status: Failure, Cause: CauseScript,
		Topic: cloneTopic(name), Detail: err.Error(),
	}
	if c, ok := errors.AsType[*alink.CodeError](err); ok {
		e.Code = c.Code
	}
	h.log(e)
}

// closeScripts closes the codecs of all products.
func (h *Hub) closeScripts() {
	h.products.mu.RLock()
	defer h.products.mu.RUnlock()
	for _, p := range h.products.byKey {
		p.raw.Load().close()
	}
}
