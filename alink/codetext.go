// SPDX-License-Identifier: Apache-2.0

package alink

// codeText is what a code is called.
type codeText struct {
	code Code
	text string
}

// codeTexts is sorted by code. It is read only.
var codeTexts = [...]codeText{
	{CodeOK, "success"},
	{CodeBadRequest, "bad request"},
	{CodeUnauthorized, "unauthorized"},
	{CodeForbidden, "forbidden"},
	{CodeKicked, "logged in elsewhere"},
	{CodeTooManyOnline, "too many sub-devices online"},
	{CodeRateLimited, "too many requests"},
	{CodeBadParams, "bad parameters"},
	{CodeInternal, "system error"},
	{CodeNoSession, "no session"},
	{CodeDeleted, "device deleted"},
	{CodeDisabled, "device disabled"},
	{CodeKickedSub, "logged in elsewhere"},
	{CodeMetaDeviceNotFound, "device not found"},
	{CodeMetaProductNotFound, "product not found"},
	{CodeNoTemplate, "template not available"},
	{CodeLoRaProduct, "not for a LoRa product"},
	{CodeDeviceNotFound, "device not found"},
	{CodeTooManyDesired, "too many properties"},
	{CodeTooManyProperties, "too many properties"},
	{CodeAuthTypeMismatch, "wrong kind of authentication"},
	{CodeBadTopic, "bad topic"},
	{CodeDeviceDisabled, "device disabled"},
	{CodeProductNotFound, "product not found"},
	{CodeBadDeviceName, "bad device name"},
	{CodeBadSign, "bad sign"},
	{CodeNoDynamicRegister, "dynamic registration is off"},
	{CodeAlreadyActive, "device already active"},
	{CodeBadSignMethod, "unknown sign method"},
	{CodeBadParamInt, "value out of range"},
	{CodeBadParamFloat, "value out of range"},
	{CodeTSLUnavailable, "thing model not available"},
	{CodeBadTSL, "bad thing model"},
	{CodeNotInProduct, "device not in product"},
	{CodeTooManyEvents, "too many events"},
	{CodeTooManySubDevices, "too many sub-devices"},
	{CodeTopoFull, "too many sub-devices"},
	{CodeTopoMissing, "not a sub-device of this gateway"},
	{CodeTopoSelf, "a gateway is not its own sub-device"},
	{CodeNoMethod, "no method after script"},
	{CodeSignFailed, "bad sign"},
	{CodeAlreadyBound, "bound to another gateway"},
	{CodeDesiredFailed, "desired values not available"},
	{CodeNoConfig, "no configuration"},
	{CodeConfigDisabled, "configuration disabled"},
	{CodeSystem, "system error"},
	{CodeOTADeviceNotFound, "device not found"},
	{CodeNotActivated, "device not activated"},
	{CodeOffline, "device offline"},
	{CodeNoScript, "no script"},
	{CodeScriptSyntax, "script syntax"},
	{CodeScriptNoFunction, "script without function"},
	{CodeScriptBadResult, "bad result of script"},
	{CodeScriptThrottled, "script throttled"},
	{CodeTimeout, "time-out"},
}
