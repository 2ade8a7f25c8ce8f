package serve

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/daemon"
)

// readyFD is the pipe on which the command that starts us waits.
const readyFD = 3

// Main runs one of the daemon's processes and returns its exit code. The version is this binary's.
func Main(args []string, version string) int {
	s, err := daemon.ParseArgs(args)
	if err == nil && s.Version != version {
		err = fmt.Errorf("it is of version %s and pinion of %s; install both from one release",
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
	var ended exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &ended):
		return int(ended) // the other process has told why
	}
	fmt.Fprintln(os.Stderr, "pinion-buildkitd:", err)
	tell(err.Error())
	return 1
}

// exitError is how the second process ended.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// tell says one line to whoever started us. Who is started by hand has nobody there.
func tell(line string) {
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
