// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/crc64"
	"io"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/ota"
	"github.com/openalink/iot/topic"
)

// fileBlock is how much one message carries.
const fileBlock = 32 << 10

// download reads a file block by block over the connection (wire facts section
// 13.2).
type download struct {
	c    *Client
	ctx  context.Context //nolint:containedctx // a reader has no other way to be told
	n    *ota.Notice
	at   int64
	rest []byte
}

// Read implements io.Reader.
func (d *download) Read(b []byte) (int, error) {
	if len(d.rest) == 0 {
		if d.at >= d.n.Size {
			return 0, io.EOF
		}
		block, err := d.c.fetchBlock(d.ctx, d.n, d.at, int(min(fileBlock, d.n.Size-d.at)))
		if err != nil {
			return 0, err
		}
		d.rest, d.at = block, d.at+int64(len(block))
	}
	n := copy(b, d.rest)
	d.rest = d.rest[n:]
	return n, nil
}

// Close implements io.Closer.
func (d *download) Close() error { return nil }

// fetchBlock asks for one block.
func (c *Client) fetchBlock(ctx context.Context, n *ota.Notice, at int64, size int) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	id := c.ids.Next()
	payload := fmt.Appendf(nil, `{"id":%q,"version":"1.0","params":{"fileToken":"default","fileInfo":{"streamId":%d,"fileId":%d},"fileBlock":{"size":%d,"offset":%d}}}`,
		id, n.Stream, n.File, size, at)
	answer, err := c.exchange(ctx, id, iot.Message{Topic: topic.Sys(c.Device(), alink.FileDownload.Path()), Payload: payload})
	if err != nil {
		return nil, err
	}
	header, data, err := ota.ParseFrame(answer.Payload)
	if err != nil {
		return nil, err
	}
	var h struct {
		Code alink.Code
		Data struct{ BOffset, BSize, FileLength int64 }
	}
	if err := json.Unmarshal(header, &h); err != nil {
		return nil, fmt.Errorf("%w: %w", ota.ErrMessage, err)
	}
	switch {
	case h.Code != alink.CodeOK:
		return nil, fmt.Errorf("%w: code %d", ota.ErrRefusedLink, h.Code)
	case h.Data.FileLength != n.Size:
		return nil, fmt.Errorf("%w: file of %d bytes, not %d", ota.ErrDigest, h.Data.FileLength, n.Size)
	case h.Data.BOffset != at || h.Data.BSize != int64(len(data)) || len(data) == 0 || len(data) > size:
		return nil, fmt.Errorf("%w: block of %d bytes at %d", ota.ErrMessage, len(data), h.Data.BOffset)
	}
	return append([]byte(nil), data...), nil
}

// blockAnswered hands a binary answer to who waits for it.
func (c *Client) blockAnswered(payload []byte) {
	header, _, _ := ota.ParseFrame(payload) // a wrong checksum is for the caller to find
	var m alink.Message
	if alink.Parse(header, &m) == nil {
		c.calls.Resolve(m.ID, payload)
	}
}

// UploadFile sends a file to the platform (wire facts section 13.3). name is up
// to 100 letters, digits, dots and underscores. It returns the name the file got.
// Errors are those of Call, and ota.ErrDigest when what arrived differs.
func (c *Client) UploadFile(ctx context.Context, name string, content []byte) (string, error) {
	sum := fmt.Sprintf("%016X", crc64.Checksum(content, crc64.MakeTable(crc64.ECMA)))
	data, err := c.Call(ctx, alink.FileUploadInit.Path(), map[string]any{
		"fileName": name, "fileSize": len(content), "conflictStrategy": "overwrite", "ficMode": "crc64", "ficValue": sum,
	})
	if err != nil {
		return "", err
	}
	var begun struct {
		FileName, UploadID string
		Offset             int
	}
	if err := json.Unmarshal(data, &begun); err != nil || begun.Offset < 0 || begun.Offset > len(content) {
		return "", fmt.Errorf("%w: answer to an upload: %s", ota.ErrMessage, data)
	}
	for at := begun.Offset; at < len(content); {
		n := min(fileBlock, len(content)-at)
		if err := c.sendBlock(ctx, begun.UploadID, at, content[at:at+n], at+n == len(content)); err != nil {
			return "", err
		}
		at += n
	}
	return begun.FileName, nil
}

func (c *Client) sendBlock(ctx context.Context, upload string, at int, block []byte, last bool) error {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	id, header, err := c.envelope(alink.FileUploadSend.Path(), map[string]any{
		"uploadId": upload, "offset": at, "bSize": len(block), "isComplete": last,
	})
	if err != nil {
		return err
	}
	m := iot.Message{Topic: topic.Sys(c.Device(), alink.FileUploadSend.Path()), Payload: ota.AppendFrame(nil, header, block), QoS: iot.AtLeastOnce}
	answer, err := c.exchange(ctx, id, m)
	if err != nil {
		return err
	}
	reply, err := answer.Message()
	if err != nil {
		return fmt.Errorf("device: answer of the platform: %w", err)
	}
	return reply.Err()
}
