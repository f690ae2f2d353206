// SPDX-License-Identifier: Apache-2.0

package alink

import (
	"fmt"
	"slices"
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

	CodeMetaDeviceNotFound  Code = 5001   // login: no such device
	CodeMetaProductNotFound Code = 5005   // registration: no such product
	CodeNoTemplate          Code = 5159   // dsltemplate: not available; 5160 and 5161 as well
	CodeLoRaProduct         Code = 5244   // not for a LoRa product
	CodeDeviceNotFound      Code = 6100   // no such device
	CodeTooManyDesired      Code = 6104   // more than 200 desired properties in one request
	CodeTooManyProperties   Code = 6106   // more than 200 properties in one post
	CodeAuthTypeMismatch    Code = 6200   // the product's devices log in another way
	CodeBadTopic            Code = 6203   // the topic cannot be understood
	CodeDeviceDisabled      Code = 6204   // topology: the device is disabled
	CodeProductNotFound     Code = 6250   // no such product
	CodeBadDeviceName       Code = 6280   // the DeviceName breaks the rules
	CodeBadSign             Code = 6287   // sub-device login: the sign does not fit
	CodeNoDynamicRegister   Code = 6288   // dynamic registration is off
	CodeAlreadyActive       Code = 6289   // registration: the device has its secret already
	CodeBadSignMethod       Code = 6292   // the sign method is unknown
	CodeBadParamInt         Code = 6306   // an integer is out of its range
	CodeBadParamFloat       Code = 6307   // a fraction is out of its range
	CodeTSLUnavailable      Code = 6313   // the TSL service cannot answer
	CodeBadTSL              Code = 6317   // the TSL lacks something, such as a type
	CodeNotInProduct        Code = 6321   // the product's TSL does not know the device
	CodeTooManyEvents       Code = 6356   // more than 20 events in a pack
	CodeTooManySubDevices   Code = 6357   // more than 20 sub-devices in a pack
	CodeTopoFull            Code = 6400   // the gateway has too many sub-devices
	CodeTopoMissing         Code = 6401   // not a sub-device of this gateway
	CodeTopoSelf            Code = 6402   // a gateway cannot be its own sub-device
	CodeNoMethod            Code = 6450   // a script's result has no method
	CodeSignFailed          Code = 6600   // registration: the sign does not fit
	CodeAlreadyBound        Code = 6619   // bound to another gateway
	CodeDesiredFailed       Code = 6661   // desired values cannot be read
	CodeNoConfig            Code = 6710   // there is no configuration
	CodeConfigDisabled      Code = 6713   // remote configuration is off
	CodeSystem              Code = 6760   // the platform failed
	CodeOTADeviceNotFound   Code = 9112   // firmware request: no such device
	CodeNotActivated        Code = 9200   // the device never connected
	CodeOffline             Code = 9201   // the device is not connected
	CodeNoScript            Code = 26001  // the product has no script
	CodeScriptSyntax        Code = 26002  // the script cannot be read
	CodeScriptNoFunction    Code = 26006  // the script lacks a function
	CodeScriptBadResult     Code = 26007  // the script gave something useless
	CodeScriptThrottled     Code = 26010  // the script ran too often
	CodeTimeout             Code = 100000 // nobody answered in time
)

// String returns a few words without quotes, fit for the message of a reply:
// "success" for CodeOK, "code" and the number for an unknown one.
func (c Code) String() string {
	i, ok := slices.BinarySearchFunc(codeTexts[:], c, func(t codeText, c Code) int { return int(t.code - c) })
	if !ok {
		return "code " + strconv.Itoa(int(c))
	}
	return codeTexts[i].text
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
