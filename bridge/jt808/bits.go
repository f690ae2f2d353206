// SPDX-License-Identifier: Apache-2.0

package jt808

// Bits of Location.Alarm (table 24), for the Mask of a bridge.Field. Those of 2019
// were reserved before.
const (
	AlarmEmergency    = 1 << 0 // the driver pressed the button
	AlarmOverspeed    = 1 << 1
	AlarmFatigue      = 1 << 2
	AlarmDanger       = 1 << 3
	AlarmGNSS         = 1 << 4 // the module is faulty
	AlarmAntennaOpen  = 1 << 5
	AlarmAntennaShort = 1 << 6
	AlarmLowVoltage   = 1 << 7 // of the main supply
	AlarmPowerLost    = 1 << 8
	AlarmDisplay      = 1 << 9
	AlarmSpeech       = 1 << 10
	AlarmCamera       = 1 << 11
	AlarmCard         = 1 << 12 // reader of the transport licence
	AlarmSpeedSoon    = 1 << 13 // warning of overspeed
	AlarmFatigueSoon  = 1 << 14 // warning of fatigue
	AlarmViolation    = 1 << 15 // of 2019: driving against rules
	AlarmTyrePressure = 1 << 16 // of 2019
	AlarmBlindSpot    = 1 << 17 // of 2019: on the right
	AlarmDrivingTime  = 1 << 18 // of the day is exceeded
	AlarmParking      = 1 << 19 // too long
	AlarmArea         = 1 << 20 // entered or left: see ExtraArea
	AlarmRoute        = 1 << 21 // entered or left: see ExtraArea
	AlarmRouteTime    = 1 << 22 // too short or too long: see ExtraRouteTime
	AlarmOffRoute     = 1 << 23
	AlarmSpeedSensor  = 1 << 24
	AlarmFuel         = 1 << 25
	AlarmStolen       = 1 << 26
	AlarmIgnition     = 1 << 27 // without right
	AlarmMoved        = 1 << 28 // without right
	AlarmCollision    = 1 << 29 // a warning; 2019: or it turned over
	AlarmRolloverSoon = 1 << 30
	AlarmDoor         = 1 << 31 // opened without right
)

// Bits of Location.Status (table 25), for the Mask of a bridge.Field. Those of 2019
// were reserved before.
const (
	StatusIgnition     = 1 << 0 // ACC on
	StatusFixed        = 1 << 1
	StatusSouth        = 1 << 2
	StatusWest         = 1 << 3
	StatusOutOfService = 1 << 4
	StatusEncrypted    = 1 << 5 // latitude and longitude, by a plug-in
	StatusForward      = 1 << 6 // of 2019: collision ahead, from the emergency brake
	StatusLane         = 1 << 7 // of 2019: leaving the lane
	StatusLoad         = 3 << 8 // 0 empty, 1 half, 3 full
	StatusNoFuel       = 1 << 10
	StatusNoPower      = 1 << 11 // the vehicle's circuit is open
	StatusLocked       = 1 << 12 // the doors
	StatusDoor1        = 1 << 13 // open, front
	StatusDoor2        = 1 << 14 // open, middle
	StatusDoor3        = 1 << 15 // open, back
	StatusDoor4        = 1 << 16 // open, the driver's
	StatusDoor5        = 1 << 17 // open, another
	StatusGPS          = 1 << 18 // located by it
	StatusBeiDou       = 1 << 19
	StatusGLONASS      = 1 << 20
	StatusGalileo      = 1 << 21
	StatusMoving       = 1 << 22 // of 2019
)

// Bits of the extra ExtraSignals (table 31).
const (
	SignalLowBeam = 1 << iota
	SignalHighBeam
	SignalRight
	SignalLeft
	SignalBrake
	SignalReverse
	SignalFog
	SignalOutline
	SignalHorn
	SignalAirConditioner
	SignalNeutral
	SignalRetarder
	SignalABS
	SignalHeater
	SignalClutch
)

// Bits of the extra ExtraIO (table 32).
const (
	IODeepSleep = 1 << iota
	IOSleep
)
