// SPDX-License-Identifier: Apache-2.0

package alink

// Method names what a request asks for. Its path in a topic is Method.Path.
type Method string

// The methods of devices (wire facts, section 11).
const (
	PropertyPost        Method = "thing.event.property.post"
	PropertyHistoryPost Method = "thing.event.property.history.post"
	PropertyBatchPost   Method = "thing.event.property.batch.post"
	PropertySet         Method = "thing.service.property.set"
	PropertyGet         Method = "thing.service.property.get"
	DesiredGet          Method = "thing.property.desired.get"
	DesiredDelete       Method = "thing.property.desired.delete"
	UpRaw               Method = "thing.model.up_raw"
	DownRaw             Method = "thing.model.down_raw"
	TagUpdate           Method = "thing.deviceinfo.update"
	TagDelete           Method = "thing.deviceinfo.delete"
	TagGet              Method = "thing.deviceinfo.get"
	TemplateGet         Method = "thing.dsltemplate.get"
	DynamicTSLGet       Method = "thing.dynamicTsl.get"
	Disable             Method = "thing.disable"
	Enable              Method = "thing.enable"
	Delete              Method = "thing.delete"
	Reset               Method = "thing.reset"
	StatusUpdate        Method = "thing.status.update"
	BindNotify          Method = "_thing.event.notify"
	BindService         Method = "_thing.service.post"
)

// The methods of gateways (wire facts, section 12).
const (
	PropertyPackPost Method = "thing.event.property.pack.post"
	SubRegister      Method = "thing.sub.register"
	SubUnregister    Method = "thing.sub.unregister"
	ProductRegister  Method = "thing.proxy.provisioning.product_register"
	TopoAdd          Method = "thing.topo.add"
	TopoDelete       Method = "thing.topo.delete"
	TopoGet          Method = "thing.topo.get"
	TopoAddNotify    Method = "thing.topo.add.notify"
	TopoChange       Method = "thing.topo.change"
	ListFound        Method = "thing.list.found"
	GatewayPermit    Method = "thing.gateway.permit"
	CombineLogin     Method = "combine.login"
	CombineLogout    Method = "combine.logout"
	BatchLogin       Method = "combine.batch_login"
	BatchLogout      Method = "combine.batch_logout"
)

// The methods of firmware, configuration, files and the other services (wire
// facts, sections 9, 13 and 15).
const (
	ConfigGet         Method = "thing.config.get"
	ConfigPush        Method = "thing.config.push"
	LogConfigGet      Method = "thing.config.log.get"
	LogConfigPush     Method = "thing.config.log.push"
	LogPost           Method = "thing.log.post"
	FirmwareGet       Method = "thing.ota.firmware.get"
	FileDownload      Method = "thing.file.download"
	FileUploadInit    Method = "thing.file.upload.mqtt.init"
	FileUploadSend    Method = "thing.file.upload.mqtt.send"
	FileUploadCancel  Method = "thing.file.upload.mqtt.cancel"
	BootstrapNotify   Method = "thing.bootstrap.notify"
	JobNotify         Method = "thing.job.notify"
	JobGet            Method = "thing.job.get"
	JobUpdate         Method = "thing.job.update"
	DiagPost          Method = "_thing.diag.post"
	EnrolleeMatch     Method = "thing.awss.enrollee.match"
	EnrolleeFound     Method = "thing.awss.enrollee.found"
	EnrolleeCheckin   Method = "thing.awss.enrollee.checkin"
	SwitchAP          Method = "thing.awss.device.switchap"
	CipherGet         Method = "thing.cipher.get"
	RemoteDebugSwitch Method = "edge.debug.switch"
)

// EventPost returns the method that posts the event called id; of a module's
// event the id is "block:event".
func EventPost(id string) Method { return Method("thing.event." + id + ".post") }

// ServiceInvoke returns the method that calls the service called id.
func ServiceInvoke(id string) Method { return Method("thing.service." + id) }
