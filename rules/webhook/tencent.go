// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/rules"
)

// Tencent is the form Tencent's rule engine posts in (wire facts of Tencent,
// section 4.1): a body with devicename, productid, payload, seq, timestamp and
// topic, and the headers Signature, Timestamp and Nonce.
type Tencent struct {
	// Token is what sender and receiver share. The signature proves the sender, not
	// the body: use TLS.
	Token auth.Secret
}

// signature is the lower-case SHA-1 of token, timestamp and nonce, sorted and
// joined.
func (t *Tencent) signature(timestamp, nonce string) string {
	parts := []string{t.Token.Reveal(), timestamp, nonce}
	slices.Sort(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, "")))
	return hex.EncodeToString(sum[:])
}

func (t *Tencent) sign(req *http.Request) {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	nonce, timestamp := hex.EncodeToString(b[:]), strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set("Timestamp", timestamp)
	req.Header.Set("Nonce", nonce)
	req.Header.Set("Signature", t.signature(timestamp, nonce))
}

// Verify is for receivers: it reports whether a request bears a signature of the
// token.
func (t *Tencent) Verify(req *http.Request) bool {
	want := t.signature(req.Header.Get("Timestamp"), req.Header.Get("Nonce"))
	return subtle.ConstantTimeCompare([]byte(want), []byte(req.Header.Get("Signature"))) == 1
}

// tencentBody writes the envelope. A payload that is not JSON goes in base64.
func tencentBody(d *rules.Delivery) []byte {
	payload := json.RawMessage(d.Payload)
	if !alink.Valid(payload) {
		payload, _ = json.Marshal(base64.StdEncoding.EncodeToString(d.Payload)) // a string always can be
	}
	body, _ := alink.Marshal(struct { // of members that always can be written
		DeviceName string          `json:"devicename"`
		Payload    json.RawMessage `json:"payload"`
		ProductID  string          `json:"productid"`
		Seq        int64           `json:"seq"`
		Timestamp  int64           `json:"timestamp"`
		Topic      string          `json:"topic"`
	}{d.Message.Device.Name, payload, d.Message.Device.Product, d.Message.ID, d.Message.Time.Unix(), d.Message.Topic})
	return body
}

// Check asks the receiver to echo a text, as Tencent does when a rule is saved: a
// GET with the header Echostr, answered by that text.
func (s *Sink) Check(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	echo := rand.Text()
	req.Header.Set("Echostr", echo)
	if s.options.Tencent != nil {
		s.options.Tencent.sign(req)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	if resp.StatusCode != http.StatusOK || strings.TrimSpace(string(body)) != echo {
		return fmt.Errorf("webhook: the receiver did not echo: status %d: %.200q", resp.StatusCode, body)
	}
	return nil
}
