package serve

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/daemon"
)

// readyFD is the pipe on which the command that starts the daemon waits.
const readyFD = 3

// Main runs one of the daemon's processes and returns its exit code. version is this binary's.
func Main(args []string, version string) int {
	s, err := daemon.ParseArgs(args)
	if err == nil && s.Version != version {
		err = fmt.Errorf("its version is %s and pinion's is %s; install both from one release",
			version, s.Version)
	}
	if err == nil {
		switch s.Stage {
		case daemon.StageInit:
			err = supervise(s)
		case daemon.StageServe:
			err = serve(s)
		default:
			err = fmt.Errorf("unknown stage %q", s.Stage)
		}
	}
	var exit exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return int(exit) // the second process has reported the reason
	}
	fmt.Fprintln(os.Stderr, "pinion-buildkitd:", err)
	report(err.Error())
	return 1
}

// exitError is the exit code of the second process.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// report sends one line to the command that started the daemon. It does nothing in a process that
// was started by hand.
func report(line string) {
	f := os.NewFile(readyFD, "ready")
	if f == nil {
		return
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return
	}
	_, _ = f.WriteString(strings.ReplaceAll(line, "\n", " ") + "\n")
	_ = f.Close()
}
