// SPDX-License-Identifier: Apache-2.0

// Package influx is a rules.Sink that writes rows to a time series database that
// takes InfluxDB's line protocol over HTTP.
package influx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/rules"
	"github.com/tidwall/gjson"
)

// Options of a Sink.
type Options struct {
	// URL takes the lines: http://host:8086/write?db=iot, or
	// http://host:8086/api/v2/write?org=o&bucket=iot. Nanoseconds are its precision.
	URL string
	// Measurement names the series. Required.
	Measurement string
	// Tags are members of the row that become tags, beside product and device. All
	// others become fields.
	Tags []string
	// Token, when set, authorises version 2 and later.
	Token auth.Secret
	// Client makes the requests; nil means one of the sink's own.
	Client *http.Client
}

// Sink writes a batch of rows in one request. A row's time is that of the message;
// a row that comes twice overwrites itself. Objects, arrays and NULL are left out;
// a row without a field, or that is no JSON object, is refused for good. It is safe
// for concurrent use.
type Sink struct {
	options Options
	client  *http.Client
	tags    map[string]bool
}

// ErrOptions is what New returns for options that cannot be used.
var ErrOptions = errors.New("influx: options")

// New returns a sink.
func New(o Options) (*Sink, error) {
	if o.URL == "" || o.Measurement == "" {
		return nil, fmt.Errorf("%w: URL and Measurement are needed", ErrOptions)
	}
	s := &Sink{options: o, client: o.Client, tags: map[string]bool{}}
	if s.client == nil {
		s.client = &http.Client{}
	}
	for _, name := range o.Tags {
		s.tags[name] = true
	}
	return s, nil
}

// Send implements rules.Sink.
func (s *Sink) Send(ctx context.Context, batch []*rules.Delivery) error {
	var body []byte
	for _, d := range batch {
		var err error
		if body, err = s.appendLine(body, d); err != nil {
			return rules.Permanent(err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.options.URL, bytes.NewReader(body))
	if err != nil {
		return rules.Permanent(fmt.Errorf("influx: %w", err))
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	if !s.options.Token.IsZero() {
		req.Header.Set("Authorization", "Token "+s.options.Token.Reveal())
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("influx: %w", err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	return judge(resp.StatusCode, text)
}

// judge: a line that is not understood, or too much at once, is refused for good;
// who may not write may be allowed to later.
func judge(status int, text []byte) error {
	if status >= 200 && status < 300 {
		return nil
	}
	err := fmt.Errorf("influx: status %d: %.200q", status, text)
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return rules.Permanent(err)
	}
	return err
}

// Escapes of the line protocol, by place.
var (
	measurementEscapes = strings.NewReplacer(",", `\,`, " ", `\ `, "\n", `\n`)
	keyEscapes         = strings.NewReplacer(",", `\,`, "=", `\=`, " ", `\ `, "\n", `\n`)
	textEscapes        = strings.NewReplacer(`"`, `\"`, `\`, `\\`)
)

// appendLine writes measurement,tags fields time.
func (s *Sink) appendLine(dst []byte, d *rules.Delivery) ([]byte, error) {
	row := gjson.ParseBytes(d.Payload)
	if !row.IsObject() {
		return nil, fmt.Errorf("influx: row %s is no JSON object", d.Key)
	}
	dst = append(dst, measurementEscapes.Replace(s.options.Measurement)...)
	dst = appendTag(dst, "device", d.Message.Device.Name)
	dst = appendTag(dst, "product", d.Message.Device.Product)
	var fields []byte
	row.ForEach(func(key, v gjson.Result) bool {
		if s.tags[key.Str] {
			dst = appendTag(dst, key.Str, v.String())
		} else {
			fields = appendField(fields, key.Str, v)
		}
		return true
	})
	if len(fields) == 0 {
		return nil, fmt.Errorf("influx: row %s has no field", d.Key)
	}
	dst = append(append(dst, ' '), fields[1:]...)
	dst = strconv.AppendInt(append(dst, ' '), d.Message.Time.UnixNano(), 10)
	return append(dst, '\n'), nil
}

// appendTag leaves empty values out: the protocol has none.
func appendTag(dst []byte, key, value string) []byte {
	if key == "" || value == "" {
		return dst
	}
	dst = append(append(dst, ','), keyEscapes.Replace(key)...)
	return append(append(dst, '='), keyEscapes.Replace(value)...)
}

// appendField writes numbers as floats, so that a field keeps its type when a value
// happens to be whole.
func appendField(dst []byte, key string, v gjson.Result) []byte {
	if key == "" || v.Type == gjson.Null || v.Type == gjson.JSON {
		return dst
	}
	dst = append(append(dst, ','), keyEscapes.Replace(key)...)
	dst = append(dst, '=')
	switch v.Type {
	case gjson.Number:
		return strconv.AppendFloat(dst, v.Num, 'g', -1, 64)
	case gjson.String:
		return append(append(append(dst, '"'), textEscapes.Replace(v.Str)...), '"')
	default:
		return strconv.AppendBool(dst, v.Bool())
	}
}
