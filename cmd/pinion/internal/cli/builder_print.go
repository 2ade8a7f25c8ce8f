package cli

import (
	"fmt"
	"io"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/daemon"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/schema"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/output"
)

func (a *app) printStatus(w io.Writer, format string, st daemon.Status) error {
	if format == flags.FormatJSON {
		return output.JSON(w, struct {
			Schema int `json:"schema"`
			daemon.Status
		}{schema.Version, st})
	}
	fields := [][2]string{{"Running", "no"}, {"Root", st.Root}, {"Log", st.Log}}
	if st.Process != nil {
		fields = processFields(st, st.Process)
	}
	return a.printFields(w, 15, fields)
}

func processFields(st daemon.Status, p *daemon.Process) [][2]string {
	idle := "never"
	if p.IdleExit > 0 {
		idle = "after " + seconds(p.IdleExit)
	}
	running := "yes"
	if p.Stopping {
		running = "about to end"
	}
	return [][2]string{
		{"Running", running}, {"PID", fmt.Sprint(p.PID)}, {"Address", p.Address},
		{"Version", fmt.Sprintf("%s (BuildKit %s)", p.Version, p.BuildKit)},
		{"Root", st.Root}, {"Log", st.Log}, {"Snapshots", p.Snapshotter},
		{"Uptime", seconds(p.Uptime)},
		{"Disk usage", fmt.Sprintf("%s (garbage collection leaves %s)",
			output.Size(p.DiskUsage), output.Size(p.KeepStorage))},
		{"Active builds", fmt.Sprint(p.ActiveBuilds)}, {"Idle exit", idle},
	}
}

func seconds(n int64) string { return (time.Duration(n) * time.Second).String() }

func (a *app) printStopped(w io.Writer, format string, stopped bool) error {
	if format == flags.FormatJSON {
		return output.JSON(w, struct {
			Schema  int  `json:"schema"`
			Stopped bool `json:"stopped"`
		}{schema.Version, stopped})
	}
	text := "the managed BuildKit has ended"
	if !stopped {
		text = "the managed BuildKit is not running"
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

func (a *app) printFreed(w io.Writer, format string, freed int64) error {
	if format == flags.FormatJSON {
		return output.JSON(w, struct {
			Schema int   `json:"schema"`
			Freed  int64 `json:"freed_bytes"`
		}{schema.Version, freed})
	}
	_, err := fmt.Fprintln(w, "freed "+output.Size(freed))
	return err
}
