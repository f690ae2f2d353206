// SPDX-License-Identifier: Apache-2.0

// Package haltest is the contract of the seams in package hal, as tests. A
// front door that lets MQTT devices in passes TestFrontDoor, and TestTimeouts
// if it can run over mem.Pipe:
//
//	func TestContract(t *testing.T) {
//		haltest.TestFrontDoor(t, func(t *testing.T, a hal.Access) haltest.Door {
//			return openMyDoor(t, a)
//		})
//	}
//
// A door on a broker that a program embeds leaves out what that cannot do, case by
// case and with a reason, by LeaveOut. One behind somebody else's broker, which owns
// the connections, passes TestBehindBroker:
//
//	func TestContract(t *testing.T) {
//		haltest.TestBehindBroker(t, func(t *testing.T, a hal.Access) haltest.Broker {
//			return openMyBroker(t, a)
//		})
//	}
//
// The fakes stand for a platform in other tests too: FakeAccess accepts every
// client, and its sessions record what they are told and leave the dones to
// the test.
package haltest
