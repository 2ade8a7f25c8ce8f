package parts

import (
	"errors"
	"os"
	"syscall"
)

// attributes puts the child into a group of its own, so that a terminal's Ctrl-C goes to us alone,
// and has the kernel end it when we are gone.
func attributes(isolated bool) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if isolated {
		attr.Cloneflags = syscall.CLONE_NEWPID
		attr.Unshareflags = syscall.CLONE_NEWNS // makes all mounts private, too
	}
	return attr
}

// initScript is the first process of a daemon's namespaces. It makes what is private there: a /proc
// of the new process namespace (runc reads /proc/self), and empty folders where daemons write
// regardless of their options (in /run runc's state and containerd's shims, in /etc/docker the
// key of an old engine). Then it runs the daemon, hands SIGTERM on to it, and reaps what the
// daemon's children leave: containerd waits for its shims to be gone, and a daemon that is the
// first process itself reaps only its own.
const initScript = `set -e
mount -t proc proc /proc
for dir in /run /etc/docker; do
	if [ -d "$dir" ]; then mount -t tmpfs tmpfs "$dir"; fi
done
set +e
"$@" &
daemon=$!
trap 'kill -TERM $daemon' TERM
while :; do
	wait $daemon # a signal ends it too
	code=$?
	kill -0 $daemon 2>/dev/null || exit $code
done`

// isolate wraps a command so that initScript runs it.
func isolate(c command) (string, []string) {
	return "/bin/sh", append([]string{"-c", initScript, "sh", c.path}, c.args...)
}

// signal sends sig to the process's group. SIGTERM goes to the process alone: a daemon ends its
// children in its own order.
func (p *process) signal(sig syscall.Signal) error {
	select {
	case <-p.done:
		return os.ErrProcessDone
	default:
	}
	if sig == syscall.SIGTERM {
		return p.proc.Signal(sig)
	}
	if err := syscall.Kill(-p.proc.Pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}
