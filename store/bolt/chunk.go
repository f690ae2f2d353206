// SPDX-License-Identifier: Apache-2.0

package bolt

// chunk holds the rows a walk copied out of one read transaction.
type chunk struct {
	buf   []byte
	rows  []row
	limit int // of rows; grows, for many walks end early
}

type row struct {
	key, value int    // where they end in buf; a key begins where the row before ends
	number     uint64 // revision or offset
	milli      int64  // time of a record
}

const (
	firstRows = 8
	mostRows  = 512
)

// reset empties the chunk and lets the next one be larger.
func (c *chunk) reset() {
	c.buf, c.rows = c.buf[:0], c.rows[:0]
	c.limit = min(max(2*c.limit, firstRows), mostRows)
}

func (c *chunk) full() bool { return len(c.rows) >= c.limit || len(c.buf) >= readChunk }

func (c *chunk) add(key, value []byte, number uint64, milli int64) {
	c.buf = append(c.buf, key...)
	r := row{key: len(c.buf), number: number, milli: milli}
	c.buf = append(c.buf, value...)
	r.value = len(c.buf)
	c.rows = append(c.rows, r)
}

// at returns the bytes of row i.
func (c *chunk) at(i int) (key, value []byte) {
	start := 0
	if i > 0 {
		start = c.rows[i-1].value
	}
	r := &c.rows[i]
	return c.buf[start:r.key:r.key], c.buf[r.key:r.value:r.value]
}
