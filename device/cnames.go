// SPDX-License-Identifier: Apache-2.0

package device

import "strings"

// CName says what a function of Alibaba's C SDK is called here.
type CName struct {
	C string // the function of the C SDK, version 2
	// Go is what does its work, as package.Name or package.Type.Method; empty when
	// nothing has to be called.
	Go   string
	Note string // why, where that is not plain
}

// CNames lists the functions of the C SDK and their counterparts, for those who
// bring C code over. The slice is the caller's.
func CNames() []CName {
	var list []CName
	for line := range strings.Lines(cNames) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), "|", 3)
		if len(f) == 3 {
			list = append(list, CName{f[0], f[1], f[2]})
		}
	}
	return list
}

// cNames has one function a line: C name, ours, note.
const cNames = `IOT_OpenLog|device.Config.Logger|a slog.Logger takes the place of the SDK's own log
IOT_CloseLog|device.Config.Logger|
IOT_SetLogLevel|device.Config.Logger|the level is the handler's
IOT_DumpMemoryStats||runtime.ReadMemStats
IOT_SetupConnInfo|hal.Identity|the name of the device is data, not a global
IOT_SetupConnInfoSecure|hal.Identity|
IOT_Cloud_Connection_Init|device.New|
IOT_Cloud_Connection_Deinit|device.Client.Close|
IOT_Cloud_Connection_Send_Message|device.Client.Publish|
IOT_Cloud_Connection_Yield||a Client works on goroutines of its own
IOT_CMP_Init|device.New|
IOT_CMP_OTA_Start|device.Config.Firmware|
IOT_CMP_OTA_Set_Callback|device.Handlers.Upgrade|
IOT_CMP_OTA_Get_Config|device.Config.RemoteConfig|a Client fetches and applies it
IOT_CMP_OTA_Request_Image|device.Client.FirmwareNotice|
IOT_CMP_Register|device.Config.Handlers|
IOT_CMP_Unregister||handlers are given once
IOT_CMP_Send|device.Client.Publish|
IOT_CMP_Send_Sync|device.Client.Call|
IOT_CMP_Yield||
IOT_CMP_Deinit|device.Client.Close|
IOT_CMP_OTA_Yield||a Client works on goroutines of its own
IOT_CoAP_Init|hal.Transport|the transport is a part of the configuration
IOT_CoAP_Deinit|device.Client.Close|
IOT_CoAP_DeviceNameAuth|device.Client.Connect|
IOT_CoAP_Yield||
IOT_CoAP_SendMessage|device.Client.Publish|
IOT_CoAP_GetMessagePayload|device.Client.Call|the answer is returned
IOT_CoAP_GetMessageCode|alink.CodeError|
IOT_HTTP_Init|hal.Transport|
IOT_HTTP_DeInit|device.Client.Close|
IOT_HTTP_DeviceNameAuth|device.Client.Connect|
IOT_HTTP_SendMessage|device.Client.Publish|
IOT_HTTP_Disconnect|device.Client.Close|
IOT_MQTT_Construct|device.New|and device.Client.Connect
IOT_MQTT_ConstructSecure|device.New|and device.Client.Connect
IOT_MQTT_Destroy|device.Client.Close|
IOT_MQTT_Yield||
IOT_MQTT_CheckStateNormal|device.Client.Online|
IOT_MQTT_Disable_Reconnect||close the Client when Handlers.Disconnected is called
IOT_MQTT_Subscribe|device.Client.Subscribe|
IOT_MQTT_Unsubscribe||a Client keeps its subscriptions
IOT_MQTT_Publish|device.Client.Publish|
IOT_OTA_Init|device.Config.Firmware|
IOT_OTA_Deinit|device.Client.Close|
IOT_OTA_ReportVersion|device.Client.ReportVersion|
IOT_OTA_RequestImage|device.Client.FirmwareNotice|
IOT_OTA_ReportProgress|device.Client.ReportProgress|
IOT_OTA_GetConfig|device.Config.RemoteConfig|
IOT_OTA_IsFetching|device.Client.FirmwareStatus|
IOT_OTA_IsFetchFinish|device.Client.FirmwareStatus|
IOT_OTA_FetchYield||
IOT_OTA_Ioctl|device.Client.FirmwareStatus|
IOT_OTA_GetLastError|device.Client.FirmwareStatus|
IOT_Shadow_Construct|device.New|every Client has a shadow
IOT_Shadow_Destroy|device.Client.Close|
IOT_Shadow_Yield||
IOT_Shadow_RegisterAttribute|device.Synced|a struct takes the place of attributes
IOT_Shadow_DeleteAttribute|device.Client.ReportShadow|with null
IOT_Shadow_PushFormat_Init|device.Client.ReportShadow|encoding/json formats
IOT_Shadow_PushFormat_Add|device.Client.ReportShadow|
IOT_Shadow_PushFormat_Finalize|device.Client.ReportShadow|
IOT_Shadow_Push|device.Client.ReportShadow|
IOT_Shadow_Push_Async|device.Client.ReportShadow|on a goroutine
IOT_Shadow_Pull|device.Client.Shadow|
IOT_Gateway_Generate_Message_ID|alink.IDs|a Client numbers its requests itself
IOT_Gateway_Construct|device.NewGateway|
IOT_Gateway_Destroy|device.Gateway.Close|
IOT_Subdevice_Register|device.Gateway.Register|
IOT_Subdevice_Unregister|device.Gateway.Unbind|
IOT_Subdevice_Login|device.Gateway.SubDevice|and device.Client.Connect
IOT_Subdevice_Logout|device.Client.Close|of the sub-device
IOT_Gateway_Get_TOPO|device.Gateway.Topology|
IOT_Gateway_Get_Config|device.Config.RemoteConfig|
IOT_Gateway_Publish_Found_List|device.Gateway.Found|
IOT_Gateway_Yield||
IOT_Gateway_Subscribe|device.Client.Subscribe|
IOT_Gateway_Unsubscribe||
IOT_Gateway_Publish|device.Client.Publish|
IOT_Gateway_RRPC_Register|device.Handlers.RRPC|
IOT_Gateway_RRPC_Response|device.Handlers.RRPC|the handler returns it
linkkit_start|device.NewThing|and device.Thing.Connect
linkkit_end|device.Thing.Close|
linkkit_dispatch||handlers run by themselves
linkkit_yield||
linkkit_set_value|device.Thing.Set|
linkkit_get_value|device.Thing.Get|
linkkit_set_tsl|device.ThingConfig.Model|tsl.Parse reads it
linkkit_answer_service|device.ThingConfig.Service|the handler returns it
linkkit_invoke_raw_service|device.Client.PostRaw|
linkkit_trigger_event|device.Thing.Event|
linkkit_fota_init|device.Config.Firmware|
linkkit_invoke_fota_service|device.Config.Firmware|the Client installs what is offered
linkkit_cota_init|device.Config.RemoteConfig|
linkkit_invoke_cota_get_config|device.Client.AppliedConfig|
linkkit_invoke_cota_service|device.Config.RemoteConfig|the Client applies what is offered
linkkit_post_property|device.Thing.Post|
`
