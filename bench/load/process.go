// SPDX-License-Identifier: Apache-2.0

//go:build unix

package load

import (
	"syscall"
	"time"
)

// processorTime is what this process has used, of both kinds.
func processorTime() time.Duration {
	var ru syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &ru)
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// OpenFiles raises the number of files this process may have open to what it is
// allowed at most, and returns it.
func OpenFiles() (int, error) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, err
	}
	l.Cur = l.Max
	return int(min(l.Max, 1<<30)), syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l)
}
