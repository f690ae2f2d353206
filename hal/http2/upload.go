// SPDX-License-Identifier: Apache-2.0

package http2

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"

	iot "github.com/openalink/iot"
)

// uploadService is the service id of uploads (wire facts section 8.1).
const uploadService = "c/iot/sys/thing/file/upload"

const (
	headerFileName  = "X-File-Name"
	headerOverwrite = "X-File-Overwrite"
	headerUpload    = "X-File-Upload-Id"
	headerPosition  = "X-Next-Append-Position"
	headerStore     = "X-File-Store-Id"
	headerCRC       = "X-File-Crc64ecma"
)

// uploadKey tells uploads apart.
type uploadKey struct {
	device iot.DeviceID
	id     string
}

// upload is an upload that a data stream carries. One that is opened again belongs
// to the newer stream: the older connection may be dead without knowing.
type upload struct {
	key  uploadKey
	turn chan struct{} // capacity 1: who speaks to Blobs
	size int64         // as of the last word of Blobs; who has the turn

	// guarded by streams.mu
	owner *dataStream
	body  *paced // what the owner sends just now
}

// claim makes s the owner of an upload, and cuts off what the one before sends.
func (l *streams) claim(s *dataStream, id string) *upload {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := uploadKey{s.device, id}
	u := l.uploads[key]
	if u == nil {
		u = &upload{key: key, turn: make(chan struct{}, 1)}
		l.uploads[key] = u
	}
	if u.body != nil {
		u.body.stop()
	}
	older := u.owner
	u.owner, s.upload = s, u
	if older != nil {
		l.remove(older)
	}
	return u
}

// begin waits for the turn of s, and takes it if the upload is still its own.
func (l *streams) begin(ctx context.Context, s *dataStream, body *paced) bool {
	u := s.upload
	select {
	case u.turn <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if u.owner != s {
		<-u.turn
		return false
	}
	u.body = body
	return true
}

func (l *streams) end(u *upload) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u.body = nil
	<-u.turn
}

// openUpload begins an upload, or goes on with one. It returns the status.
func (h *Handler) openUpload(ctx context.Context, w http.ResponseWriter, r *http.Request, s *dataStream) int {
	if h.cfg.Blobs == nil {
		return http.StatusNotFound
	}
	id := r.Header.Get(headerUpload)
	if id == "" {
		var err error
		overwrite := r.Header.Get(headerOverwrite) == "1"
		if id, err = h.cfg.Blobs.Create(ctx, s.device, r.Header.Get(headerFileName), overwrite); err != nil {
			return blobStatus(err)
		}
	}
	u := h.streams.claim(s, id)
	if !h.streams.begin(ctx, s, nil) {
		return http.StatusConflict
	}
	defer h.streams.end(u)
	size, err := h.cfg.Blobs.Append(ctx, s.device, id, nil)
	if err != nil {
		return blobStatus(err)
	}
	u.size = size
	w.Header().Set(headerUpload, id)
	w.Header().Set(headerPosition, strconv.FormatInt(size, 10))
	return http.StatusOK
}

// sendUpload takes a part. What came of one that was cut off is kept.
func (h *Handler) sendUpload(w http.ResponseWriter, r *http.Request, s *dataStream) {
	u := s.upload
	if id := r.Header.Get(headerUpload); id != "" && id != u.key.id {
		failStream(w, http.StatusBadRequest)
		return
	}
	pace := h.pace(w, r.Body)
	defer pace.end()
	if !h.streams.begin(r.Context(), s, pace) {
		failStream(w, http.StatusConflict)
		return
	}
	defer h.streams.end(u)
	room := h.cfg.MaxFile - u.size
	if r.ContentLength > room {
		failStream(w, http.StatusRequestEntityTooLarge)
		return
	}
	// The request's context ends with the connection; what arrived counts all the same.
	ctx := context.WithoutCancel(r.Context())
	size, err := h.cfg.Blobs.Append(ctx, s.device, u.key.id, &limited{pace, room})
	u.size = max(u.size, size)
	if err != nil {
		failStream(w, blobStatus(err))
		return
	}
	h.answerUpload(w, s)
}

// uploaded says how much of a file is there.
func (h *Handler) uploaded(w http.ResponseWriter, r *http.Request, s *dataStream) {
	if !h.streams.begin(r.Context(), s, nil) {
		failStream(w, http.StatusConflict)
		return
	}
	defer h.streams.end(s.upload)
	h.answerUpload(w, s)
}

func (h *Handler) answerUpload(w http.ResponseWriter, s *dataStream) {
	w.Header().Set(headerUpload, s.upload.key.id)
	w.Header().Set(headerPosition, strconv.FormatInt(s.upload.size, 10))
	s.ok(w)
}

// closeUpload gives the file its name. It returns the status. The checksum is
// written as a signed number, as Java reads it.
func (h *Handler) closeUpload(w http.ResponseWriter, r *http.Request, s *dataStream) int {
	if !h.streams.begin(r.Context(), s, nil) {
		return http.StatusConflict
	}
	defer h.streams.end(s.upload)
	f, err := h.cfg.Blobs.Finish(r.Context(), s.device, s.upload.key.id)
	if err != nil {
		return blobStatus(err)
	}
	w.Header().Set(headerUpload, s.upload.key.id)
	w.Header().Set(headerPosition, strconv.FormatInt(f.Size, 10))
	w.Header().Set(headerStore, f.ID)
	w.Header().Set(headerCRC, strconv.FormatInt(int64(f.CRC), 10))
	return http.StatusOK
}

// errTooLong means an upload beyond Config.MaxFile.
var errTooLong = errors.New("http2: file is too long")

// limited fails when more comes than there is room for.
type limited struct {
	r    io.Reader
	room int64
}

// Read implements io.Reader.
func (l *limited) Read(b []byte) (int, error) {
	n, err := l.r.Read(b[:min(int64(len(b)), l.room+1)])
	if int64(n) > l.room {
		n, err = int(l.room), errTooLong
	}
	l.room -= int64(n)
	return n, err
}

// blobStatus is the answer to what Blobs say.
func blobStatus(err error) int {
	switch {
	case errors.Is(err, ErrExists):
		return http.StatusConflict
	case errors.Is(err, ErrNoUpload):
		return http.StatusNotFound
	case errors.Is(err, ErrFileName):
		return http.StatusBadRequest
	case errors.Is(err, ErrTooManyFiles):
		return http.StatusInsufficientStorage
	case errors.Is(err, errTooLong):
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusInternalServerError
}
