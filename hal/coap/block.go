// SPDX-License-Identifier: Apache-2.0

package coap

import (
	"sync"
	"time"
)

// An answer longer than a message leaves in blocks (RFC 7959): the first with the
// response, the others when the client asks for them. Requests never come so:
// vendor firmware does not send them, and what does not fit is refused.

// blockSize is how long blocks are, unless a client asks for shorter ones; sizeExp
// is how options say that.
const (
	blockSize = 1024
	sizeExp   = 6
)

// maxLongAnswers is how many answers in blocks are kept, of all clients together;
// the oldest goes first. maxLongAnswer is how long one may be.
const (
	maxLongAnswers = 256
	maxLongAnswer  = 64 << 10
)

// block is the value of an option Block2.
type block struct {
	num  int
	more bool
	exp  int // blocks are 1<<(4+exp) bytes
}

func blockOf(n int) block { return block{num: n >> 4, more: n>>3&1 == 1, exp: n & 7} }

func (b block) value() int {
	n := b.num<<4 | b.exp
	if b.more {
		n |= 8
	}
	return n
}

func (b block) size() int { return 16 << b.exp }

// cut returns the part of an answer that a client wants, and what to say about it.
// ok is false behind its end.
func cut(answer []byte, want block) (part []byte, b block, ok bool) {
	want.exp = min(want.exp, sizeExp)
	start := want.num * want.size()
	if start >= len(answer) {
		return nil, want, false
	}
	part = answer[start:min(start+want.size(), len(answer))]
	want.more = start+len(part) < len(answer)
	return part, want, true
}

// longAnswer is an answer of which a client has the first block.
type longAnswer struct {
	peer    *peer
	path    string
	login   string
	format  int
	payload []byte
	since   time.Time
}

// longAnswers are kept for as long as requests may be repeated.
type longAnswers struct {
	mu   sync.Mutex
	list []*longAnswer // oldest first
}

// keep keeps a, instead of an older answer to the same question.
func (l *longAnswers) keep(a *longAnswer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a.since = time.Now()
	kept := l.list[:0]
	for _, old := range l.list {
		if !old.of(a.peer, a.path, a.login) && a.since.Sub(old.since) <= exchangeLifetime {
			kept = append(kept, old)
		}
	}
	if len(kept) == maxLongAnswers {
		kept = kept[:copy(kept, kept[1:])]
	}
	clear(l.list[len(kept):])
	l.list = append(kept, a)
}

// find returns the answer to a question, nil for none.
func (l *longAnswers) find(p *peer, path, login string) *longAnswer {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.list {
		if a.of(p, path, login) && time.Since(a.since) <= exchangeLifetime {
			return a
		}
	}
	return nil
}

func (a *longAnswer) of(p *peer, path, login string) bool {
	return a.peer == p && a.path == path && a.login == login
}
