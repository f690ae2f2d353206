// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/openalink/iot/hal/http2"
	"github.com/openalink/iot/hal/mqttd"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/hub/provision"
	"github.com/openalink/iot/store/bolt"
)

// drainTime bounds how long a stop may take.
const drainTime = 20 * time.Second

// trimEvery is how often what is older than the retention is removed.
const trimEvery = time.Hour

// run is hubd from start to stop.
func run(ctx context.Context, f flags, out io.Writer) (err error) {
	logger, sync, err := newLogger(f.log)
	if err != nil {
		return err
	}
	defer sync()
	limits, err := readLimits(f.limits)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(f.data, 0o700); err != nil {
		return err
	}
	st, err := bolt.Open(filepath.Join(f.data, "hub.db"), bolt.Options{Logger: logger})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	files, err := openFolders(f.data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	sealer, err := readSealer(f.sealKey)
	if err != nil {
		return err
	}
	h, err := hub.Open(ctx, hub.Config{Store: st, Limits: &limits, Logger: logger, Sealer: sealer, OTA: files.ota(f.downloads), Files: hub.NewFileFolder(files.uploads)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	carry, err := openForwarding(ctx, h, st, f.data, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, carry.close()) }()
	if err := importFleet(ctx, h, carry, f.provision, out); err != nil {
		return err
	}
	door, err := mqttd.New(mqttd.Config{Access: h, Logger: logger})
	if err != nil {
		return err
	}
	defer door.Close()
	channel, err := http2.NewHandler(http2.Config{Platform: h, Blobs: http2.NewFolder(files.uploads), Logger: logger})
	if err != nil {
		return err
	}
	defer channel.Close()
	s := &servers{door: door, channel: channel, forwarding: carry, logger: logger, out: out, failed: make(chan error, 8)}
	defer s.close()
	if err := s.listen(f, h); err != nil {
		return err
	}
	fmt.Fprintln(out, "ready")
	return serve(ctx, h, s, logger)
}

// serve waits for the end and drains.
func serve(ctx context.Context, h *hub.Hub, s *servers, logger *slog.Logger) error {
	trim := time.NewTicker(trimEvery)
	defer trim.Stop()
	for {
		select {
		case <-trim.C:
			if err := errors.Join(h.Trim(ctx), s.forwarding.trim(ctx, h.Limits().LogRetention)); err != nil && ctx.Err() == nil {
				logger.Error("old records are not removed", "error", err)
			}
			continue
		case err := <-s.failed:
			return err
		case <-ctx.Done():
		}
		drain, cancel := context.WithTimeout(context.Background(), drainTime)
		defer cancel()
		logger.Info("draining")
		return errors.Join(s.shutdown(drain), h.Shutdown(drain))
	}
}

// importFleet reads the provision file, if any, and prints a line an entry. An
// entry that fails does not keep hubd from starting.
func importFleet(ctx context.Context, h *hub.Hub, carry *forwarding, path string, out io.Writer) error {
	if path == "" {
		return nil
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	fleet, err := provision.Read(file)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	_ = fleet.Apply(ctx, h, func(l provision.Line) { fmt.Fprintln(out, l) }) // each line says its failure
	carry.apply(ctx, fleet, out)
	return ctx.Err()
}
