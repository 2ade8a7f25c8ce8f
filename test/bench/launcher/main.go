// Command launcher starts a program, waits for it, and writes its times and its memory to file
// descriptor 3, as one line of numbers: the system's clock before it was started, after exec(2) and
// after it was waited for, in nanoseconds since 1970, and the largest number of resident bytes of
// any of its processes, 0 if it is not known.
//
//	launcher PROGRAM [ARG...]
//
// It exists because of the memory. A process begins as a copy of the one that starts it, and what
// it had at most before exec(2) counts among what getrusage(2) says of it. So the program that
// starts another must be smaller than what it measures: this one imports next to nothing. Its own
// size, some 2 MB, is the least that it can see.
//
// Its exit code is the program's, 128 and the signal's number for one that a signal ended, and 127
// if the program could not be started.
package main

import (
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// report is where the measurement is written.
const report = 3

func main() {
	// The program must not inherit it, or the reader waits for what the program leaves behind.
	syscall.CloseOnExec(report)
	m, code, err := launch(os.Args[1:])
	if err != nil {
		_, _ = os.Stderr.WriteString("launcher: " + err.Error() + "\n")
		os.Exit(127)
	}
	if _, err := os.NewFile(report, "report").WriteString(m.String()); err != nil {
		_, _ = os.Stderr.WriteString("launcher: " + err.Error() + "\n")
		os.Exit(127)
	}
	os.Exit(code)
}

// measured is what is written.
type measured struct{ begun, executed, ended, memory int64 }

// String returns the line.
func (m measured) String() string {
	line := ""
	for _, n := range []int64{m.begun, m.executed, m.ended, m.memory} {
		line += strconv.FormatInt(n, 10) + " "
	}
	return line + "\n"
}

// launch runs the program to its end. It passes on interrupts, of which it does not die itself.
func launch(args []string) (m measured, code int, err error) {
	if len(args) == 0 {
		return m, 0, syscall.EINVAL
	}
	runtime.LockOSThread() // the thread's end would be taken for this process's
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	attr := &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}, Sys: dyingWithParent()}
	m.begun = time.Now().UnixNano()
	p, err := os.StartProcess(args[0], args, attr)
	if err != nil {
		return m, 0, err
	}
	m.executed = time.Now().UnixNano()
	go func() {
		for s := range signals {
			_ = p.Signal(s) // it may have ended
		}
	}()
	state, err := p.Wait()
	if err != nil {
		return m, 0, err
	}
	m.ended = time.Now().UnixNano()
	m.memory = residentAtMost(state)
	return m, exitCode(state), nil
}
