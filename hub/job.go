// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
)

// JobStatus is how far a device is with a job.
type JobStatus string

// The states of jobs (wire facts section 15).
const (
	JobQueued     JobStatus = "QUEUED"
	JobSent       JobStatus = "SENT"
	JobInProgress JobStatus = "IN_PROGRESS"
	JobSucceeded  JobStatus = "SUCCEEDED"
	JobFailed     JobStatus = "FAILED"
	JobRejected   JobStatus = "REJECTED"
	JobCancelled  JobStatus = "CANCELLED"
	JobRemoved    JobStatus = "REMOVED"
	JobTimedOut   JobStatus = "TIMED_OUT"
)

// Final reports whether a job in this state is over.
func (s JobStatus) Final() bool {
	switch s {
	case JobSucceeded, JobFailed, JobRejected, JobCancelled, JobRemoved, JobTimedOut:
		return true
	case JobQueued, JobSent, JobInProgress:
	}
	return false
}

func (s JobStatus) known() bool {
	return s.Final() || s == JobQueued || s == JobSent || s == JobInProgress
}

// Job is a task for one device: a document the device understands and perhaps a
// file.
type Job struct {
	ID       string          `json:"taskId"`
	Status   JobStatus       `json:"status"`
	Progress int             `json:"progress,omitempty"` // 0 to 100
	Details  json.RawMessage `json:"statusDetails,omitempty"`
	Document json.RawMessage `json:"jobDocument,omitempty"`
	File     *JobFile        `json:"jobFile,omitempty"`
	Created  time.Time       `json:"created"`
	Updated  time.Time       `json:"updated"`
}

// JobFile is a file of a job, to be fetched over HTTP.
type JobFile struct {
	URL        string `json:"fileUrl"`
	Sign       string `json:"sign"`
	SignMethod string `json:"signMethod"`
}

// A device keeps up to maxJobs jobs; the oldest that is over makes room. Documents
// and details are part of its record, so they are short.
const (
	maxJobs        = 100
	maxJobDocument = 16 << 10
	maxJobDetails  = 4 << 10
)

// CreateJob gives a device a job and returns it with its id. A connected device
// is told at once; others ask. Errors wrap ErrUnknownDevice, ErrInvalid (the
// document is no JSON object), ErrTooLarge (over 16 KB) or ErrTooMany.
func (h *Hub) CreateJob(ctx context.Context, id iot.DeviceID, document json.RawMessage, file *JobFile) (Job, error) {
	var object map[string]json.RawMessage
	if len(document) > maxJobDocument {
		return Job{}, fmt.Errorf("%w: job document of %d bytes, at most %d", ErrTooLarge, len(document), maxJobDocument)
	}
	if len(document) > 0 && json.Unmarshal(document, &object) != nil {
		return Job{}, fmt.Errorf("%w: the job's document is no JSON object", ErrInvalid)
	}
	d, err := h.acquire(ctx, id)
	if err != nil {
		return Job{}, err
	}
	defer h.release(d)
	var made Job
	err = h.do(ctx, d, func(b *batch) error {
		jobs := slices.Clone(d.rec.Jobs)
		if len(jobs) >= maxJobs {
			over := slices.IndexFunc(jobs, func(j Job) bool { return j.Status.Final() })
			if over < 0 {
				return fmt.Errorf("%w jobs of %v, at most %d", ErrTooMany, id, maxJobs)
			}
			jobs = slices.Delete(jobs, over, over+1)
		}
		made = Job{
			ID: strconv.FormatInt(h.ids.next(b.now), 10), Status: JobQueued, Document: document, File: file,
			Created: b.now.UTC(), Updated: b.now.UTC(),
		}
		d.rec.Jobs = append(jobs, made)
		b.keepRecord(d)
		return nil
	})
	if err != nil {
		return Job{}, err
	}
	h.notifyJob(ctx, d, &made)
	return made, nil
}

// Jobs returns the jobs of a device, oldest first. The error wraps
// ErrUnknownDevice.
func (h *Hub) Jobs(ctx context.Context, id iot.DeviceID) ([]Job, error) {
	d, err := h.acquire(ctx, id)
	if err != nil {
		return nil, err
	}
	defer h.release(d)
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.rec.Jobs), nil
}

// task is a job on the wire.
type task struct {
	ID       string          `json:"taskId"`
	Status   JobStatus       `json:"status"`
	Document json.RawMessage `json:"jobDocument,omitempty"`
	File     *JobFile        `json:"jobFile,omitempty"`
}

type jobTask struct {
	Task task `json:"task"`
}

func (j *Job) task() task { return task{j.ID, j.Status, j.Document, j.File} }

// jobGet answers thing.job.get: one job, the next that waits, or a list.
func (h *Hub) jobGet(ctx context.Context, r *alink.Request) alink.Reply {
	var in struct {
		ID string `json:"taskId"`
	}
	if json.Unmarshal(alink.LenientParams(r.Params), &in) != nil {
		return badParams("params must be a taskId")
	}
	d := work(ctx).s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if in.ID == "$list" {
		list := []map[string]any{}
		for i := range d.rec.Jobs {
			if j := &d.rec.Jobs[i]; !j.Status.Final() {
				list = append(list, map[string]any{"taskId": j.ID, "status": j.Status})
			}
		}
		return alink.OK(jsonText(map[string]any{"tasks": list}))
	}
	for i := range d.rec.Jobs {
		if j := &d.rec.Jobs[i]; j.ID == in.ID || in.ID == "$next" && !j.Status.Final() {
			return alink.OK(jsonText(struct {
				ID   string `json:"taskId"`
				Task task   `json:"task"`
			}{j.ID, j.task()}))
		}
	}
	if in.ID == "$next" {
		return alink.OK(nil)
	}
	return badParams("no such job")
}

// jobUpdate takes thing.job.update. A job that is over stays as it is.
func (h *Hub) jobUpdate(ctx context.Context, r *alink.Request) alink.Reply {
	var in struct {
		ID       string          `json:"taskId"`
		Status   JobStatus       `json:"status"`
		Progress int             `json:"progress"`
		Details  json.RawMessage `json:"statusDetails"`
	}
	if json.Unmarshal(alink.LenientParams(r.Params), &in) != nil || !in.Status.known() || in.Progress < 0 || in.Progress > 100 {
		return badParams("params must be taskId, a status and a progress of 0 to 100")
	}
	if len(in.Details) > maxJobDetails {
		return badParams("statusDetails are too long")
	}
	w := work(ctx)
	d := w.s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	at := slices.IndexFunc(d.rec.Jobs, func(j Job) bool { return j.ID == in.ID })
	switch {
	case at < 0:
		return badParams("no such job")
	case d.rec.Jobs[at].Status.Final():
		return badParams("the job is over")
	}
	jobs := slices.Clone(d.rec.Jobs)
	j := &jobs[at]
	j.Status, j.Progress, j.Updated = in.Status, in.Progress, w.b.now.UTC()
	j.Details = append(json.RawMessage(nil), in.Details...)
	d.rec.Jobs = jobs
	w.b.keepRecord(d)
	return alink.OK(jsonText(struct {
		ID      string     `json:"taskId"`
		Code    alink.Code `json:"code"`
		Message string     `json:"message"`
	}{strings.Clone(in.ID), alink.CodeOK, "success"}))
}

// CancelJob takes back a job that is not over and returns it. A connected device is
// told. Errors wrap ErrUnknownDevice, or ErrInvalid for a job that is over or was
// never there.
func (h *Hub) CancelJob(ctx context.Context, id iot.DeviceID, job string) (Job, error) {
	d, err := h.acquire(ctx, id)
	if err != nil {
		return Job{}, err
	}
	defer h.release(d)
	var gone Job
	err = h.do(ctx, d, func(b *batch) error {
		at := slices.IndexFunc(d.rec.Jobs, func(j Job) bool { return j.ID == job })
		if at < 0 || d.rec.Jobs[at].Status.Final() {
			return fmt.Errorf("%w: job %.32q of %v is not open", ErrInvalid, job, id)
		}
		jobs := slices.Clone(d.rec.Jobs)
		jobs[at].Status, jobs[at].Updated = JobCancelled, b.now.UTC()
		d.rec.Jobs, gone = jobs, jobs[at]
		b.keepRecord(d)
		return nil
	})
	if err == nil {
		h.notifyJob(ctx, d, &gone)
	}
	return gone, err
}

// notifyJob tells a connected device of a job; another one asks when it comes.
func (h *Hub) notifyJob(ctx context.Context, d *device, j *Job) {
	if !h.Online(d.id) {
		return
	}
	if _, err := h.call(ctx, d.id, "thing.job.notify", jobTask{j.task()}, CallOptions{Queue: true}); err != nil {
		h.logger.Warn("device not told of a job", "device", d.key, "error", err)
	}
}
