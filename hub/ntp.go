// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"strconv"
	"time"

	"github.com/tidwall/gjson"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/topic"
)

// maxNTP bounds a request: it holds one number.
const maxNTP = 1 << 10

// ntp answers /ext/ntp/{pk}/{dn}/request. Device parsers want all three times as
// text (wire facts section 15).
func (sh *shard) ntp(b *batch, s *session, m *iot.Message) error {
	if len(m.Payload) > maxNTP || !gjson.ValidBytes(m.Payload) {
		s.reject(*m, CauseNotJSON, "")
		return &hal.RejectedError{Err: ErrInvalid}
	}
	sent := gjson.GetBytes(m.Payload, "deviceSendTime").String()
	name := topic.AppendExt(b.arena.grab(len(m.Topic)+8), "ntp/response", s.d.id)
	if _, ok := s.subs.Load().wants(text(name), true); !ok {
		return nil
	}
	out := b.arena.grab(128 + 6*len(sent))
	out = append(out, `{"deviceSendTime":`...)
	out = gjson.AppendJSONString(out, sent)
	out = append(out, `,"serverRecvTime":"`...)
	out = strconv.AppendInt(out, b.now.UnixMilli(), 10)
	out = append(out, `","serverSendTime":"`...)
	out = strconv.AppendInt(out, time.Now().UnixMilli(), 10)
	b.answer(name, append(out, `"}`...))
	return nil
}
