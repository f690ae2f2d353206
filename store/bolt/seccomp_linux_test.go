// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package bolt_test

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// syncHook stops every fdatasync of this process until it is told what becomes
// of it. It is a seccomp filter whose decisions come from user space (seccomp(2),
// seccomp_unotify(2)), so the code under test is the one that is shipped. It
// stays until the process ends.
type syncHook struct{ fd int }

// The structures of linux/seccomp.h.
type (
	notification struct {
		id    uint64
		pid   uint32
		flags uint32
		nr    int32
		arch  uint32
		ip    uint64
		args  [6]uint64
	}
	response struct {
		id    uint64
		value int64
		errno int32 // negative
		flags uint32
	}
)

func newSyncHook() (*syncHook, error) {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the number of the system call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_FDATASYNC, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("no new privileges: %w", err)
	}
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return nil, fmt.Errorf("seccomp: %w", errno)
	}
	return &syncHook{int(fd)}, nil
}

// next waits for an fdatasync and returns its id.
func (h *syncHook) next() (id uint64, err error) {
	var n notification
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(h.fd), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&n)))
		switch errno {
		case 0:
			return n.id, nil
		case unix.EINTR, unix.ENOENT:
			n = notification{}
		default:
			return 0, fmt.Errorf("receive: %w", errno)
		}
	}
}

// finish lets the call go on, or has it return errno without doing anything.
func (h *syncHook) finish(id uint64, errno syscall.Errno) error {
	r := response{id: id, errno: -int32(errno)}
	if errno == 0 {
		r.flags = unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(h.fd), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&r))); errno != 0 {
		return fmt.Errorf("send: %w", errno)
	}
	return nil
}
