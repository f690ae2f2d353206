// SPDX-License-Identifier: Apache-2.0

package define

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/rules/file"
	"github.com/openalink/iot/rules/influx"
	"github.com/openalink/iot/rules/republish"
	"github.com/openalink/iot/rules/webhook"
)

// Surroundings are what the kinds of this package need.
type Surroundings struct {
	Publisher republish.Publisher // for "republish"; without one there is no such kind
	Folder    string              // below which "file" writes; without one there is no such kind
}

// Kinds returns the kinds of actions this package knows: webhook, influx, and with
// what they need republish and file. Kinds of one's own are added to the map.
func Kinds(s Surroundings) map[string]Kind {
	kinds := map[string]Kind{"webhook": webhookKind, "influx": influxKind}
	if s.Publisher != nil {
		kinds["republish"] = func(raw json.RawMessage) (rules.Sink, error) { return republishKind(raw, s.Publisher) }
	}
	if s.Folder != "" {
		kinds["file"] = func(raw json.RawMessage) (rules.Sink, error) { return fileKind(raw, s.Folder) }
	}
	return kinds
}

// webhookKind: url, headers, and token for Tencent's form of the body.
func webhookKind(raw json.RawMessage) (rules.Sink, error) {
	var in struct {
		URL     string            `json:"url"`
		Headers map[string]string `json:"headers"`
		Token   auth.Secret       `json:"token"`
	}
	if err := Decode(raw, &in); err != nil {
		return nil, err
	}
	if in.URL == "" {
		return nil, errors.New("url is missing")
	}
	o := webhook.Options{Header: http.Header{}}
	for name, value := range in.Headers {
		o.Header.Set(name, value)
	}
	if !in.Token.IsZero() {
		o.Tencent = &webhook.Tencent{Token: in.Token}
	}
	return webhook.New(in.URL, o), nil
}

// influxKind: url, measurement, tags, token.
func influxKind(raw json.RawMessage) (rules.Sink, error) {
	var in struct {
		URL         string      `json:"url"`
		Measurement string      `json:"measurement"`
		Tags        []string    `json:"tags"`
		Token       auth.Secret `json:"token"`
	}
	if err := Decode(raw, &in); err != nil {
		return nil, err
	}
	return influx.New(influx.Options{URL: in.URL, Measurement: in.Measurement, Tags: in.Tags, Token: in.Token})
}

// republishKind: topic, qos.
func republishKind(raw json.RawMessage, to republish.Publisher) (rules.Sink, error) {
	var in struct {
		Topic string  `json:"topic"`
		QoS   iot.QoS `json:"qos"`
	}
	if err := Decode(raw, &in); err != nil {
		return nil, err
	}
	if in.QoS > iot.AtLeastOnce {
		return nil, fmt.Errorf("qos %d: 0 or 1", in.QoS)
	}
	return republish.New(to, in.Topic, in.QoS)
}

// fileKind: folder, below that of the surroundings, maxBytes, maxFiles.
func fileKind(raw json.RawMessage, below string) (rules.Sink, error) {
	var in struct {
		Folder   string `json:"folder"`
		MaxBytes int64  `json:"maxBytes"`
		MaxFiles int    `json:"maxFiles"`
	}
	if err := Decode(raw, &in); err != nil {
		return nil, err
	}
	if !filepath.IsLocal(in.Folder) {
		return nil, fmt.Errorf("folder %.64q: a name below the folder of rules", in.Folder)
	}
	return file.Open(filepath.Join(below, in.Folder), file.Options{MaxBytes: in.MaxBytes, MaxFiles: in.MaxFiles})
}
