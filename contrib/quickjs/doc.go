// SPDX-License-Identifier: Apache-2.0

// Package quickjs runs the data parsing scripts of raw products: JavaScript as
// written for Alibaba Cloud IoT Platform, with the functions rawDataToProtocol,
// protocolToRawData and transformPayload.
//
// A hub takes the engine as hub.Config.Scripts and a script as hub.Product.Script:
//
//	h, err := hub.Open(ctx, hub.Config{Store: st, Scripts: quickjs.Engine{}})
//
// Each script has virtual machines of its own, with bounds on time and memory for
// every call; what goes over them fails that call and costs that machine, nobody
// else. Nothing but the language is there: no files, no network, no timers.
// Scripts must not count on variables they set in an earlier call: another machine
// may have run that.
package quickjs
