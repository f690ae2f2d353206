// SPDX-License-Identifier: Apache-2.0

package rules

// Kill ends the runner as a crash does: no place is written any more.
func (r *Runner) Kill() {
	r.changes.Lock()
	r.closed = true
	r.cancel()
	r.changes.Unlock()
	r.wait.Wait()
}
