// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/ota"
	"github.com/openalink/iot/store"
)

// OTA is where firmware is kept and how devices reach it.
type OTA struct {
	// Blobs keep the files of packages. Required.
	Blobs ota.Blobs
	// BaseURL is how devices reach Hub.Downloads: scheme and host, without a port,
	// because old devices do not understand one (wire facts section 1 row 22).
	// Empty leaves downloads over MQTT only, and configurations inline.
	BaseURL string
	// Validity is how long a link is good; zero is ota.DefaultValidity. A device
	// that connects later gets a fresh one.
	Validity time.Duration
	// Trusted are the keys one of which must have signed a package; nil takes
	// packages that are not signed.
	Trusted []crypto.PublicKey
	// MaxPackage is the largest package in bytes; zero is ota.DefaultMaxSize.
	MaxPackage int64
	// SHA256 tells devices that digest instead of MD5, which old ones need.
	SHA256 bool
}

// The keys of what is kept of updates.
const (
	keyLinks       = "ota/key"
	prefixCampaign = "ota/c/" // campaignRecord by id
	prefixJob      = "ota/j/" // job by campaign and device name
	prefixPackage  = "ota/p/" // ota.Package by id
	prefixStream   = "ota/s/" // package id by stream number
)

// updates is the part of a hub that brings firmware and configurations.
type updates struct {
	h       *Hub
	cfg     OTA
	links   *ota.Links   // nil without a BaseURL
	handler http.Handler // nil without a BaseURL
	gate    sync.Mutex   // guards ended, and running against Wait
	ended   bool
	running sync.WaitGroup
	wake    chan struct{} // capacity 1
	active  atomic.Int32  // campaigns in memory
	files   chan struct{} // places for transfers over MQTT
	uploads uploads

	mu        sync.Mutex
	campaigns map[string]*rollout
	byProduct map[string][]*rollout // by age
}

// transfers is how many blocks of files may be on their way over MQTT.
const transfers = 64

// loadUpdates reads campaigns and makes what serves files.
func (h *Hub) loadUpdates(ctx context.Context, cfg *OTA) error {
	u := &updates{
		h: h, wake: make(chan struct{}, 1), files: make(chan struct{}, transfers),
		campaigns: map[string]*rollout{}, byProduct: map[string][]*rollout{},
	}
	h.ota = u
	if cfg != nil {
		u.cfg = *cfg
		if u.cfg.Blobs == nil {
			return fmt.Errorf("%w: Config.OTA.Blobs is nil", ErrInvalid)
		}
	}
	if u.cfg.BaseURL != "" {
		if err := u.serveFiles(ctx); err != nil {
			return err
		}
	}
	return u.loadCampaigns(ctx)
}

// serveFiles makes the handler behind links.
func (u *updates) serveFiles(ctx context.Context) error {
	key, err := u.linkKey(ctx)
	if err != nil {
		return err
	}
	if u.links, err = ota.NewLinks(u.cfg.BaseURL, key, u.cfg.Validity); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	u.handler, err = ota.NewHandler(ota.HandlerConfig{Links: u.links, Blobs: (*fileSource)(u), Permission: (*fileSource)(u), Served: u.served})
	return err
}

// linkKey returns the key links are signed with, made once for the life of the
// store.
func (u *updates) linkKey(ctx context.Context) (auth.Secret, error) {
	e, err := u.h.store.Get(ctx, []byte(keyLinks))
	if err == nil && len(e.Value) > ota.MinLinkKey && e.Value[0] == recordFormat {
		return auth.NewSecret(string(e.Value[1:])), nil
	}
	if err == nil {
		return auth.Secret{}, fmt.Errorf("hub: key of links: %w", store.ErrFormat)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return auth.Secret{}, err
	}
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails
	text := hex.EncodeToString(random[:])
	var b store.Batch
	b.Put([]byte(keyLinks), append([]byte{recordFormat}, text...))
	return auth.NewSecret(text), store.Commit(ctx, u.h.store, &b)
}

// Downloads serves firmware and configurations to devices that show a link. It
// is to be mounted at the path of OTA.BaseURL, by default ota.DefaultPath. It is
// nil without an OTA.BaseURL.
func (h *Hub) Downloads() http.Handler { return h.ota.handler }

// served logs a download.
func (u *updates) served(s ota.Served) {
	e := LogEntry{
		Device: s.Grant.Device, Kind: Downstream, Operation: OpDownload, Status: Success,
		Topic: s.Grant.File, Detail: fmt.Sprintf("HTTP %d, %d bytes in %v", s.Status, s.Bytes, s.Took.Round(time.Millisecond)),
	}
	if s.Range != "" {
		e.Detail += fmt.Sprintf(", range %.64q", s.Range)
	}
	if s.Err != nil {
		e.Status, e.Cause = Failure, CauseNoAuthorization
		e.Detail += ": " + s.Err.Error()
	}
	u.h.log(e)
}

// begin runs f on a goroutine that Close waits for. It reports false when the
// hub closes.
func (u *updates) begin(f func()) bool {
	u.gate.Lock()
	defer u.gate.Unlock()
	if u.ended {
		return false
	}
	u.running.Go(f)
	return true
}

// end waits for all that begin started.
func (u *updates) end() {
	u.gate.Lock()
	u.ended = true
	u.gate.Unlock()
	u.running.Wait()
	u.uploads.close()
}

// stir has the campaigns looked at.
func (u *updates) stir() {
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// run ticks the campaigns until the hub closes.
func (u *updates) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-u.wake:
		case <-timer.C:
		case <-u.h.closing:
			return
		}
		next := u.tick(time.Now())
		timer.Stop()
		if !next.IsZero() {
			timer.Reset(max(time.Until(next), 0))
		}
	}
}
