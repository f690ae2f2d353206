// SPDX-License-Identifier: Apache-2.0

// Package sql is the language of rules: one message in, at most one row out.
//
//	SELECT deviceName() AS device, items.Temperature.value AS t
//	FROM "/a1Lamps0001/+/thing/event/property/post"
//	WHERE t2 IS NULL AND items.Temperature.value > 38
//
// Compile makes a Statement of a text, or an *Error that says line, column and
// what to write instead. A Statement reads the bytes of the payload: it does not
// build the document, and reads no further than it must. A Set holds many
// statements and finds those a message concerns, reading the payload once for
// all statements with one FROM.
//
// # The language
//
// It is what Alibaba and Tencent document for their rule engines (wire facts
// section 18.4 here, section 4.1 for Tencent), in one: words in any case, text in
// single or double quotes with a doubled quote inside, names that are no words of
// the language in backquotes.
//
//	SELECT  * | expression [AS name], ...
//	FROM    a topic filter, with + and #
//	WHERE   a condition; optional
//
// Expressions: paths into the payload (a.b, a[0].b), numbers, text, TRUE, FALSE,
// NULL, + - * / %, = == <> != < <= > >=, AND OR NOT, LIKE (% and _, escaped by \),
// IN, BETWEEN, IS NULL, CASE WHEN, and the functions that Functions lists.
//
// A path that leads nowhere is NULL, and so is what cannot be calculated: text
// plus a number, a division by zero. A comparison with NULL or of unlike kinds is
// neither true nor false, as in SQL, and a message passes when the condition is
// true. Numbers are float64; one that is only passed on keeps its digits. Booleans
// count as 1 and 0 beside numbers, because that is how the thing model writes
// them. When a payload has a member twice, the first counts.
//
// A payload that is not JSON has no paths; SELECT * passes it on unchanged.
package sql
