// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"strconv"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/ota"
	"github.com/openalink/iot/store"
)

// The topics of data forwarding about firmware (wire facts section 18.1).
const (
	pathVersion  = "ota/version/post"
	pathProgress = "ota/progress/post"
	pathUpgrade  = "ota/upgrade"
)

// forwardedUpdate returns the path under which what a device says about its
// firmware is forwarded, empty for what is not.
func forwardedUpdate(path string) string {
	switch path {
	case "device/inform":
		return pathVersion
	case "device/progress":
		return pathProgress
	}
	return ""
}

// update forms what a device said on /ota/device/... .
func (f *forwarding) update(path string, payload []byte) {
	switch forwardedUpdate(path) {
	case pathVersion:
		var in ota.Inform
		if in, f.err = ota.ParseInform(payload); f.err != nil {
			return
		}
		f.add(pathVersion, struct {
			about
			Module            string `json:"moduleName"`
			Version           string `json:"moduleVersion"`
			MessageCreateTime int64  `json:"messageCreateTime"`
		}{f.about, in.Module, in.Version, f.at.UnixMilli()})
	case pathProgress:
		var p ota.Progress
		if p, f.err = ota.ParseProgress(payload); f.err != nil {
			return
		}
		f.add(pathProgress, struct {
			about
			Module            string `json:"moduleName"`
			Step              string `json:"step"` // text, as devices send it
			Desc              string `json:"desc"`
			MessageCreateTime int64  `json:"messageCreateTime"`
		}{f.about, p.Module, strconv.Itoa(int(p.Step)), p.Detail, f.at.UnixMilli()})
	}
}

// forwardUpgrade appends how the update of a device ended, in the commit that
// says so. One that was cancelled has no result.
func (b *batch) forwardUpgrade(d *device, r *rollout, j ota.Job) {
	status := "FAILED"
	switch j.State {
	case ota.Succeeded:
		status = "SUCCEEDED"
	case ota.Failed, ota.TimedOut:
	default:
		return
	}
	b.event(d.key, "/"+d.key+"/"+pathUpgrade, jsonText(struct {
		about
		Status            string `json:"status"`
		MessageCreateTime int64  `json:"messageCreateTime"`
		SrcVersion        string `json:"srcVersion"`
		DestVersion       string `json:"destVersion"`
		Desc              string `json:"desc"`
		JobID             string `json:"jobId"`
		TaskID            string `json:"taskId"`
	}{
		aboutDevice(d.id, d.rec.IotID), status, b.now.UnixMilli(), j.From, r.engine.Plan().Version, j.Detail,
		r.rec.ID, r.rec.ID + "/" + d.id.Name,
	}))
}

// jobStatus is the status of a campaign in the words of the documents.
func jobStatus(s ota.Status) string {
	switch s {
	case ota.Planned:
		return "PLANNED"
	case ota.Completed:
		return "COMPLETED"
	case ota.Aborted:
		return "CANCELED"
	case ota.Running, ota.Waiting, ota.Paused:
	}
	return "IN_PROGRESS"
}

// forwardStatus appends the status of a campaign when it is another than was told
// last. The record is one of the product, not of a device.
func (h *Hub) forwardStatus(b *store.Batch, r *rollout, now time.Time) {
	s, _ := r.engine.Status()
	status := jobStatus(s)
	if status == r.told {
		return
	}
	r.told = status
	p := r.packages[0]
	name := "/" + iot.DeviceID{Product: r.rec.Product, Name: p.ID}.String() + "/" + r.rec.ID + "/ota/job/status"
	b.Append(streamMessages, r.rec.Product, now, appendEvent(nil, h.ids.next(now), name, jsonText(struct {
		ProductKey        string `json:"productKey"`
		Module            string `json:"moduleName"`
		PackageID         string `json:"packageId"`
		JobID             string `json:"jobId"`
		Status            string `json:"status"`
		MessageCreateTime int64  `json:"messageCreateTime"`
	}{r.rec.Product, p.Module, p.ID, r.rec.ID, status, now.UnixMilli()})))
}
