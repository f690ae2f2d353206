// SPDX-License-Identifier: Apache-2.0

package alink

// codeText returns the words of a known code.
func codeText(c Code) (string, bool) {
	switch c {
	case CodeOK:
		return "success", true
	case CodeBadRequest:
		return "bad request", true
	case CodeUnauthorized:
		return "unauthorized", true
	case CodeForbidden:
		return "forbidden", true
	case CodeKicked, CodeKickedSub:
		return "logged in elsewhere", true
	case CodeTooManyOnline:
		return "too many sub-devices online", true
	case CodeRateLimited:
		return "too many requests", true
	case CodeBadParams:
		return "bad parameters", true
	case CodeInternal, CodeSystem:
		return "system error", true
	case CodeNoSession:
		return "no session", true
	case CodeDeleted:
		return "device deleted", true
	case CodeDisabled, CodeDeviceDisabled:
		return "device disabled", true
	case CodeTimeout:
		return "time-out", true
	}
	return platformText(c)
}

// platformText returns the words of the four- and five-digit codes.
func platformText(c Code) (string, bool) {
	switch c {
	case CodeMetaDeviceNotFound, CodeDeviceNotFound, CodeOTADeviceNotFound:
		return "device not found", true
	case CodeMetaProductNotFound, CodeProductNotFound:
		return "product not found", true
	case CodeTemplateFirst, CodeTemplateSecond, CodeTemplateThird:
		return "template not available", true
	case CodeLoRaProduct:
		return "not for a LoRa product", true
	case CodeTooManyDesired, CodeTooManyProperties:
		return "too many properties", true
	case CodeAuthTypeMismatch:
		return "wrong kind of authentication", true
	case CodeBadTopic:
		return "bad topic", true
	case CodeBadDeviceName:
		return "bad device name", true
	case CodeBadSign, CodeSignFailed:
		return "bad sign", true
	case CodeNoDynamicRegister:
		return "dynamic registration is off", true
	case CodeAlreadyActive:
		return "device already active", true
	case CodeBadSignMethod:
		return "unknown sign method", true
	case CodeBadParamInt, CodeBadParamFloat:
		return "value out of range", true
	case CodeTSLUnavailable:
		return "thing model not available", true
	case CodeBadTSL:
		return "bad thing model", true
	case CodeNotInProduct:
		return "device not in product", true
	case CodeTooManyEvents:
		return "too many events", true
	case CodeTooManySubDevices, CodeTopoFull:
		return "too many sub-devices", true
	}
	return serviceText(c)
}

// serviceText returns the words of the codes of topology and services.
func serviceText(c Code) (string, bool) {
	switch c {
	case CodeTopoMissing:
		return "not a sub-device of this gateway", true
	case CodeTopoSelf:
		return "a gateway is not its own sub-device", true
	case CodeNoMethod:
		return "no method after script", true
	case CodeAlreadyBound:
		return "bound to another gateway", true
	case CodeDesiredFailed:
		return "desired values not available", true
	case CodeNoConfig:
		return "no configuration", true
	case CodeConfigDisabled:
		return "configuration disabled", true
	case CodeNotActivated:
		return "device not activated", true
	case CodeOffline:
		return "device offline", true
	case CodeNoScript:
		return "no script", true
	case CodeScriptSyntax:
		return "script syntax", true
	case CodeScriptNoFunction:
		return "script without function", true
	case CodeScriptBadResult:
		return "bad result of script", true
	case CodeScriptThrottled:
		return "script throttled", true
	}
	return "", false
}
