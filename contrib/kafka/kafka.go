// SPDX-License-Identifier: Apache-2.0

// Package kafka is a rules.Sink for Apache Kafka and what speaks its protocol.
package kafka

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/rules/define"
)

// Options of a Sink.
type Options struct {
	Brokers []string // host:port
	Topic   string   // Kafka's
	// Client are further options of the client: TLS, SASL.
	Client []kgo.Opt
}

// Sink produces a record a row. Its key is the device ("pk/dn"), so that a device
// keeps to one partition and its order; its headers are idempotencyKey, messageId
// and topic. A record is delivered when all in-sync replicas have it. A Sink is
// safe for concurrent use.
type Sink struct {
	client *kgo.Client
	topic  string
}

// Open returns a sink. It connects when the first row comes.
func Open(o Options) (*Sink, error) {
	if len(o.Brokers) == 0 || o.Topic == "" {
		return nil, errors.New("kafka: brokers and a topic are needed")
	}
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(o.Brokers...), kgo.DefaultProduceTopic(o.Topic), kgo.RequiredAcks(kgo.AllISRAcks()),
	}, o.Client...)...)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	return &Sink{client, o.Topic}, nil
}

// Send implements rules.Sink.
func (s *Sink) Send(ctx context.Context, batch []*rules.Delivery) error {
	records := make([]*kgo.Record, len(batch))
	for i, d := range batch {
		records[i] = &kgo.Record{
			Key: []byte(d.Message.Device.String()), Value: d.Payload, Timestamp: d.Message.Time,
			Headers: []kgo.RecordHeader{
				{Key: "idempotencyKey", Value: []byte(d.Key)},
				{Key: "messageId", Value: strconv.AppendInt(nil, d.Message.ID, 10)},
				{Key: "topic", Value: []byte(d.Message.Topic)},
			},
		}
	}
	err := s.client.ProduceSync(ctx, records...).FirstErr()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.InvalidRecord), errors.Is(err, kerr.InvalidTopicException):
		return rules.Permanent(fmt.Errorf("kafka: %w", err))
	}
	return fmt.Errorf("kafka: %w", err)
}

// Close ends the connections.
func (s *Sink) Close() error {
	s.client.Close()
	return nil
}

// Kind is the kind of action "kafka" for rules in JSON, with the members brokers
// and topic.
func Kind(action json.RawMessage) (rules.Sink, error) {
	var in struct {
		Brokers []string `json:"brokers"`
		Topic   string   `json:"topic"`
	}
	if err := define.Decode(action, &in); err != nil {
		return nil, err
	}
	s, err := Open(Options{Brokers: in.Brokers, Topic: in.Topic})
	if err != nil {
		return nil, err
	}
	return s, nil
}
