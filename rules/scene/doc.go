// SPDX-License-Identifier: Apache-2.0

// Package scene is scenes: what devices shall do when something happens.
//
//	{"id":"night-heat",
//	 "triggers":[{"type":"property","device":"a1Rooms0001/bath","property":"Temperature","op":">","value":28},
//	             {"type":"cron","cron":"*/30 22-23 * * *","zone":"Europe/Berlin"}],
//	 "when":{"any":[{"device":"a1Rooms0001/hall","property":"Mode","op":"=","value":"night"},
//	                {"device":"a1Rooms0001/bath","property":"Window.Open","op":"=","value":0}]},
//	 "window":{"from":"22:00","to":"06:00","days":["fri","sat"],"zone":"Europe/Berlin"},
//	 "actions":[{"type":"set","device":"a1Fans00001/fan-1","items":{"Power":1}},
//	            {"type":"call","device":"a1Rooms0001/bath","service":"Close","args":{"Speed":2}},
//	            {"type":"scene","scene":"quiet"},
//	            {"type":"alarm","level":"warning","text":"the bath is hot"}]}
//
// # Triggers
//
// Any of the triggers starts a scene: a message that passes a statement of package
// rules/sql, a post of a property that meets a condition, a device that comes or
// goes, a timetable, or the beginning of every so long an interval. A scene without
// triggers runs when another scene or Set.Run runs it.
//
// A trigger that waits for messages is a rule of the runner: "scene.ID", further
// ones "scene.ID.2" and so on. They count among the runner's rules, have its
// counters and, with mode at-least-once, its dead letters and replay.
//
// Each post that meets a condition starts the scene anew, also when the one before
// met it. A scene that sets what triggers it goes round by way of its device:
// nothing stops that but its condition and the rate of the runner.
//
// # Conditions
//
// The scene goes on if its conditions hold: over the latest values of properties,
// and the time of the trigger. A value that a device never posted, or of another
// kind than it is compared with, makes a comparison unknown, which does not hold. A
// window that ends before it begins goes over midnight and belongs to the day it
// begins on.
//
// # Actions
//
// Actions are carried out one after the other, each whatever became of those
// before. A scene run by another one judges its own conditions then. Scenes may be
// nested 5 deep and carry out 100 actions in all; one that would lead to itself is
// refused when it is put.
//
// When an action fails and a message started the scene, those that failed, and only
// those, are tried again as the runner does for any rule: 3 times best-effort, and
// at-least-once until they are done, others get through or they are among the dead
// letters; meanwhile the scene waits, as a rule does whose sink is in trouble. The
// conditions are not judged again. After a crash all of them are
// carried out again. A run by the clock or by hand is not repeated; what failed
// stands in its outcome and in the log.
//
// # The clock
//
// A timetable has the five fields of cron: minute, hour, day of the month, month and
// weekday, with *, lists, ranges, steps and names. When both kinds of days are
// restricted either will do, as in cron. A local time that a change of the clocks
// leaves out is not met that day, and one that comes twice is met twice. "every"
// counts from midnight UTC of 1 January 1970, so that a restart shifts nothing.
//
// A run that came due while the process was down, or stood still for over a minute,
// is not made up for. One that comes due while the last one is under way is left
// out and counted.
package scene
