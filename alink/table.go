// SPDX-License-Identifier: Apache-2.0

package alink

import "github.com/openalink/iot/topic"

// row is an entry as the table writes it.
type row struct {
	path      string
	method    Method
	direction Direction
	answer    answerForm
	note      string
	family    topic.Family // FamilySys when left out
}

// answerForm is where a request's answer goes.
type answerForm uint8

const (
	replied  answerForm = iota // to the path and _reply
	silent                     // nowhere
	samePath                   // to the path itself
	response                   // to the path with response for request
)

func (r *row) entry() Entry {
	e := Entry{Method: r.method, Family: r.family, Path: r.path, Direction: r.direction, Note: r.note}
	if e.Family == topic.FamilyUnknown {
		e.Family = topic.FamilySys
	}
	switch r.answer {
	case replied:
		e.Reply = topic.Reply(r.path)
	case samePath:
		e.Reply = r.path
	case response:
		e.Reply = responsePath(r.path)
	case silent:
	}
	return e
}

func responsePath(path string) string {
	switch path {
	case "ntp/request":
		return "ntp/response"
	case "rrpc/request/{mid}":
		return "rrpc/response/{mid}"
	}
	return ""
}

// catalogue is sorted by path. It is read only.
var catalogue = [...]row{
	{"_thing/diag/post", DiagPost, Up, replied, "network diagnosis", 0},
	{"_thing/event/notify", BindNotify, Down, replied, "binding and other notices", 0},
	{"_thing/service/post", BindService, Up, replied, "binding and other reports", 0},
	{"auth/identity/response", "", Down, silent, "whom an X.509 certificate stands for", topic.FamilyExt},
	{"broadcast/request/{mid}", "", Down, silent, "broadcast to a product; any payload", 0},
	{"device/inform", "", Up, silent, "firmware version", topic.FamilyOTA},
	{"device/progress", "", Up, silent, "progress of an upgrade", topic.FamilyOTA},
	{"device/request", "", Up, samePath, "ask for an upgrade", topic.FamilyOTA},
	{"device/upgrade", "", Down, silent, "firmware to install", topic.FamilyOTA},
	{"edge/debug/switch", RemoteDebugSwitch, Down, replied, "remote access", 0},
	{"error", "", Down, silent, "notice to a gateway", topic.FamilyExt},
	{"get", "", Down, silent, "shadow answers and changes", topic.FamilyShadow},
	{"network/probe/{mid}", "", Down, samePath, "network probe", topic.FamilyExt},
	{"ntp/request", "", Up, response, "time of day", topic.FamilyExt},
	{"register", "", Down, silent, "secret of a device that registered", topic.FamilyExt},
	{"regnwl", "", Down, silent, "token of a device that registered", topic.FamilyExt},
	{"rrpc/request/{mid}", "", Down, response, "call that waits; any payload", 0},
	{"secure_tunnel/notify", "", Down, silent, "remote access", 0},
	{"secure_tunnel/proxy/request", "", Up, replied, "remote access", 0},
	{"session/combine/batch_login", BatchLogin, Up, replied, "gateway", topic.FamilyExt},
	{"session/combine/batch_logout", BatchLogout, Up, replied, "gateway", topic.FamilyExt},
	{"session/combine/login", CombineLogin, Up, replied, "gateway", topic.FamilyExt},
	{"session/combine/logout", CombineLogout, Up, replied, "gateway", topic.FamilyExt},
	{"thing/awss/device/switchap", SwitchAP, Down, replied, "provisioning", 0},
	{"thing/awss/enrollee/checkin", EnrolleeCheckin, Down, replied, "provisioning", 0},
	{"thing/awss/enrollee/found", EnrolleeFound, Up, replied, "provisioning", 0},
	{"thing/awss/enrollee/match", EnrolleeMatch, Up, replied, "provisioning", 0},
	{"thing/bootstrap/notify", BootstrapNotify, Down, replied, "connect anew", 0},
	{"thing/cipher/get", CipherGet, Up, replied, "provisioning", 0},
	{"thing/config/get", ConfigGet, Up, replied, "remote configuration", 0},
	{"thing/config/log/get", LogConfigGet, Up, replied, "whether to upload logs", 0},
	{"thing/config/log/push", LogConfigPush, Down, replied, "whether to upload logs", 0},
	{"thing/config/push", ConfigPush, Down, replied, "remote configuration", 0},
	{"thing/delete", Delete, Down, replied, "the device was deleted", 0},
	{"thing/deviceinfo/delete", TagDelete, Up, replied, "tags", 0},
	{"thing/deviceinfo/get", TagGet, Up, replied, "tags", 0},
	{"thing/deviceinfo/update", TagUpdate, Up, replied, "tags", 0},
	{"thing/disable", Disable, Down, replied, "the device was disabled", 0},
	{"thing/dsltemplate/get", TemplateGet, Up, replied, "whole TSL", 0},
	{"thing/dynamicTsl/get", DynamicTSLGet, Up, replied, "parts of the TSL", 0},
	{"thing/enable", Enable, Down, replied, "the device was enabled", 0},
	{"thing/event/property/batch/post", PropertyBatchPost, Up, replied, "several values per property", 0},
	{"thing/event/property/history/post", PropertyHistoryPost, Up, replied, "values of the past", 0},
	{"thing/event/property/pack/post", PropertyPackPost, Up, replied, "gateway with sub-devices", 0},
	{"thing/event/property/post", PropertyPost, Up, replied, "", 0},
	{"thing/event/{id}/post", "thing.event.{id}.post", Up, replied, "event", 0},
	{"thing/file/download", FileDownload, Up, replied, "binary answer", 0},
	{"thing/file/upload/mqtt/cancel", FileUploadCancel, Up, replied, "", 0},
	{"thing/file/upload/mqtt/init", FileUploadInit, Up, replied, "", 0},
	{"thing/file/upload/mqtt/send", FileUploadSend, Up, replied, "binary request", 0},
	{"thing/gateway/permit", GatewayPermit, Down, replied, "gateway: let sub-devices join", 0},
	{"thing/job/get", JobGet, Up, replied, "", 0},
	{"thing/job/notify", JobNotify, Down, replied, "", 0},
	{"thing/job/update", JobUpdate, Up, replied, "", 0},
	{"thing/list/found", ListFound, Up, replied, "gateway", 0},
	{"thing/log/post", LogPost, Up, replied, "", 0},
	{"thing/model/down_raw", DownRaw, Down, replied, "binary", 0},
	{"thing/model/up_raw", UpRaw, Up, replied, "binary", 0},
	{"thing/ota/firmware/get", FirmwareGet, Up, replied, "ask for an upgrade", 0},
	{"thing/property/desired/delete", DesiredDelete, Up, replied, "", 0},
	{"thing/property/desired/get", DesiredGet, Up, replied, "", 0},
	{"thing/proxy/provisioning/product_register", ProductRegister, Up, replied, "gateway", 0},
	{"thing/reset", Reset, Up, replied, "forget the owner", 0},
	{"thing/service/property/get", PropertyGet, Down, replied, "", 0},
	{"thing/service/property/set", PropertySet, Down, replied, "", 0},
	{"thing/service/{id}", "thing.service.{id}", Down, replied, "asynchronous service", 0},
	{"thing/status/update", StatusUpdate, Up, silent, "partner and module of old SDKs", 0},
	{"thing/sub/register", SubRegister, Up, replied, "gateway", 0},
	{"thing/sub/unregister", SubUnregister, Up, replied, "gateway", 0},
	{"thing/topo/add", TopoAdd, Up, replied, "gateway", 0},
	{"thing/topo/add/notify", TopoAddNotify, Down, replied, "gateway", 0},
	{"thing/topo/change", TopoChange, Down, replied, "gateway", 0},
	{"thing/topo/delete", TopoDelete, Up, replied, "gateway", 0},
	{"thing/topo/get", TopoGet, Up, replied, "gateway", 0},
	{"update", "", Up, silent, "shadow requests; answered on get", topic.FamilyShadow},
}
