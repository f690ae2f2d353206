// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
)

// uploader uploads as the SDKs do, over HTTP/2.
type uploader struct {
	h   *hubd
	web *http.Client
}

func (u *uploader) ask(verb string, body io.Reader, header http.Header) (http.Header, error) {
	r, err := http.NewRequestWithContext(u.h.t.Context(), http.MethodPost, "https://"+u.h.addr["https"]+"/stream/"+verb+"/c/iot/sys/thing/file/upload", body)
	if err != nil {
		return nil, err
	}
	r.Header = header
	resp, err := u.web.Do(r)
	if err != nil {
		return nil, err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		u.h.t.Fatalf("%s: %s", verb, resp.Status)
	}
	return resp.Header, nil
}

// open begins an upload, or goes on with one.
func (u *uploader) open(upload string) http.Header {
	u.h.t.Helper()
	id := iot.DeviceID{Product: productKey, Name: name(0)}
	sign := auth.Sign(auth.HMACSHA1, auth.NewSecret(secret), auth.Param{Key: "clientId", Value: "c"},
		auth.Param{Key: "deviceName", Value: id.Name}, auth.Param{Key: "productKey", Value: id.Product})
	header := http.Header{
		"X-Auth-Name": {"devicename"}, "X-Auth-Param-Client-Id": {"c"}, "X-Auth-Param-Signmethod": {"hmacsha1"},
		"X-Auth-Param-Product-Key": {id.Product}, "X-Auth-Param-Device-Name": {id.Name}, "X-Auth-Param-Sign": {sign},
	}
	if upload == "" {
		header["X-File-Name"], header["X-File-Overwrite"] = []string{"file"}, []string{"1"}
	} else {
		header["X-File-Upload-Id"] = []string{upload}
	}
	answer, err := u.ask("open", http.NoBody, header)
	if err != nil {
		u.h.t.Fatal(err)
	}
	return answer
}

// TestUploadSurvivesKills kills hubd in the middle of an upload, again and again:
// what was answered is never asked for again, and the file is whole in the end.
func TestUploadSurvivesKills(t *testing.T) {
	dir, fleet := t.TempDir(), fleetFile(t, 1)
	file := make([]byte, 40<<20)
	for i := range file {
		file[i] = byte(i * i >> 7)
	}
	upload, sure, kills := "", int64(0), 0
	for done := false; !done; {
		h := startHubd(t, "-data", dir, "-provision", fleet, "-limits", "none", "-api-key", apiKey, "-log", "error", "-https", "127.0.0.1:0")
		tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
		u := &uploader{h, &http.Client{Transport: tr}}
		stream := u.open(upload)
		upload = stream.Get("X-File-Upload-Id")
		at, err := strconv.ParseInt(stream.Get("X-Next-Append-Position"), 10, 64)
		if err != nil || at < sure {
			t.Fatalf("position %d, %v: %d were answered", at, err, sure)
		}
		if kills < 10 {
			kill := time.AfterFunc(time.Duration(rand.IntN(60))*time.Millisecond, func() { _ = h.cmd.Process.Kill() })
			defer kill.Stop()
		}
		for err == nil && at < int64(len(file)) {
			n := min(4<<20, int64(len(file))-at)
			if stream, err = u.ask("send", bytes.NewReader(file[at:at+n]), http.Header{"X-Data-Stream-Id": {stream.Get("X-Data-Stream-Id")}}); err == nil {
				at += n
				sure = at
			}
		}
		if err == nil {
			_, err = u.ask("close", http.NoBody, http.Header{"X-Data-Stream-Id": {stream.Get("X-Data-Stream-Id")}})
		}
		tr.CloseIdleConnections()
		if done = err == nil; !done {
			kills++
		}
		h.kill()
	}
	t.Logf("%d kills", kills)
	if got, err := os.ReadFile(filepath.Join(dir, "uploads", productKey, name(0), "file")); err != nil || !bytes.Equal(got, file) || kills == 0 {
		t.Errorf("%d bytes, %v after %d kills, want %d", len(got), err, kills, len(file))
	}
}
