// SPDX-License-Identifier: Apache-2.0

package alink

import (
	"fmt"
	"strconv"
)

// Code is the code of a reply (wire facts, section 21). Devices answer with
// codes of their own between 100000 and 110000.
type Code int

// The codes.
const (
	CodeOK            Code = 200 // done
	CodeBadRequest    Code = 400 // the request cannot be carried out
	CodeUnauthorized  Code = 401 // sign or right missing
	CodeForbidden     Code = 403 // known, but not allowed
	CodeKicked        Code = 427 // the device logged in elsewhere
	CodeTooManyOnline Code = 428 // too many sub-devices online under the gateway
	CodeRateLimited   Code = 429 // too often
	CodeBadParams     Code = 460 // parameters missing or wrong
	CodeInternal      Code = 500 // the platform failed
	CodeNoSession     Code = 520 // the sub-device is not logged in
	CodeDeleted       Code = 521 // the device was deleted
	CodeDisabled      Code = 522 // the device is disabled
	CodeKickedSub     Code = 527 // the sub-device logged in through another gateway

	CodeMetaDeviceNotFound  Code = 5001
	CodeMetaProductNotFound Code = 5005
	CodeTemplateFirst       Code = 5159 // dsltemplate: 5159 to 5161
	CodeTemplateSecond      Code = 5160
	CodeTemplateThird       Code = 5161
	CodeLoRaProduct         Code = 5244
	CodeDeviceNotFound      Code = 6100
	CodeTooManyDesired      Code = 6104 // more than 200 properties asked for or deleted
	CodeTooManyProperties   Code = 6106 // more than 200 properties in one post
	CodeAuthTypeMismatch    Code = 6200
	CodeBadTopic            Code = 6203
	CodeDeviceDisabled      Code = 6204
	CodeProductNotFound     Code = 6250
	CodeBadDeviceName       Code = 6280
	CodeBadSign             Code = 6287
	CodeNoDynamicRegister   Code = 6288
	CodeAlreadyActive       Code = 6289
	CodeBadSignMethod       Code = 6292
	CodeBadParamInt         Code = 6306
	CodeBadParamFloat       Code = 6307
	CodeTSLUnavailable      Code = 6313
	CodeBadTSL              Code = 6317
	CodeNotInProduct        Code = 6321 // the product's TSL does not know the device
	CodeTooManyEvents       Code = 6356 // more than 20 events in a pack
	CodeTooManySubDevices   Code = 6357 // more than 20 sub-devices in a pack
	CodeTopoFull            Code = 6400 // the gateway has too many sub-devices
	CodeTopoMissing         Code = 6401 // not a sub-device of this gateway
	CodeTopoSelf            Code = 6402 // a gateway cannot be its own sub-device
	CodeNoMethod            Code = 6450 // a script's result has no method
	CodeSignFailed          Code = 6600
	CodeAlreadyBound        Code = 6619 // bound to another gateway
	CodeDesiredFailed       Code = 6661
	CodeNoConfig            Code = 6710
	CodeConfigDisabled      Code = 6713
	CodeSystem              Code = 6760
	CodeOTADeviceNotFound   Code = 9112
	CodeNotActivated        Code = 9200
	CodeOffline             Code = 9201
	CodeNoScript            Code = 26001
	CodeScriptSyntax        Code = 26002
	CodeScriptNoFunction    Code = 26006
	CodeScriptBadResult     Code = 26007
	CodeScriptThrottled     Code = 26010
	CodeTimeout             Code = 100000 // nobody answered in time
)

// String returns a few words that carry no secret and no quote, fit for the
// message of a reply; "success" for CodeOK.
func (c Code) String() string {
	if s, ok := codeText(c); ok {
		return s
	}
	return "code " + strconv.Itoa(int(c))
}

// CodeError is a reply that is not a success, as an error. A handler returns one
// through ErrorReply; a caller finds one with errors.As.
type CodeError struct {
	Code    Code
	Message string // for people; Code's own words when empty
	Data    []byte // JSON, nil for none
}

// Error says the code and the message.
func (e *CodeError) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("alink: code %d: %v", int(e.Code), e.Code)
	}
	return fmt.Sprintf("alink: code %d: %s", int(e.Code), e.Message)
}

// Is reports whether target is a *CodeError of the same code.
func (e *CodeError) Is(target error) bool {
	t, ok := target.(*CodeError)
	return ok && t.Code == e.Code
}
