package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/network"
	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/container"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/exitcode"
)

func TestRunUsage(t *testing.T) {
	for _, c := range []struct {
		args string
		says string
	}{
		{"run", "the name of a template is missing"},
		{"run --", "the name of a template is missing"},
		{"run -- sh", "the name of a template is missing"},
		{"run one two", "pinion run one -- two"},
		{"run one two -- sh", "pinion run one -- two"},
		{"run one -it", "--tty"},
		{"run one --env =x", "--env"},
		{"run one --workspace -e WORKSPACE_ID=", "WORKSPACE_ID is empty"},
		{"run one --workspace -e WORKSPACE_ID", "WORKSPACE_ID is empty"},
		{"run one --workspace -e WORKSPACE_ID=a:b", "WORKSPACE_ID"},
		{"run one", "no engine"}, // an image store without one
	} {
		f := twoGood()
		got := call(t.Context(), f, strings.Fields(c.args)...)
		if got.code != exitcode.Usage || got.stdout != "" ||
			!strings.Contains(got.stderr, c.says) ||
			len(f.requested) != 0 {
			t.Errorf("%s: got %+v, asked %v", c.args, got, f.requested)
		}
	}
}

func TestWorkspaceEnv(t *testing.T) {
	lookup := func(name string) (string, bool) {
		v, ok := map[string]string{"TIER": "2", "PARENT_ID": "", "WORKSPACE_ID": "ws-1",
			"MINE": "m", "PLATFORM_URL": "http://x", "PYTHONPATH": "/home/me"}[name]
		return v, ok
	}
	env, err := workspaceEnv([]string{"PLATFORM_URL=http://z", "FILE=1"},
		[]string{"PLATFORM_URL=http://y", "MINE", "NOT_SET", "EMPTY=", "PLUGINS_DIR"}, lookup)
	want := []string{"PLATFORM_URL=http://y", "FILE=1", "MINE=m", "EMPTY=", "WORKSPACE_ID=ws-1",
		"TIER=2", "MOLECULE_URL=http://y", "WORKSPACE_CONFIG_PATH=/configs", "PYTHONPATH=/app"}
	if err != nil || !slices.Equal(env.list(), want) {
		t.Errorf("got %q, %v", env.list(), err)
	}
	nothing := func(string) (string, bool) { return "", false }
	var ids []string
	for range 2 {
		env, err := workspaceEnv(nil, nil, nothing)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, env.values["WORKSPACE_ID"])
	}
	if len(ids[0]) != 36 || ids[0] == ids[1] {
		t.Errorf("got %q", ids)
	}
}

// specOf returns the container that the arguments of run describe.
func specOf(t *testing.T, args ...string) (container.Spec, error) {
	t.Helper()
	f := &runFlags{}
	cmd := &cobra.Command{}
	f.register(cmd)
	if err := cmd.ParseFlags(args); err != nil {
		return container.Spec{}, err
	}
	f.NoteSet(cmd.Flags())
	lookup := func(name string) (string, bool) { return "w1", name == "WORKSPACE_ID" }
	return f.spec(Program{Lookup: lookup}.withDefaults(), "hermes")
}

func TestDockerFlags(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "env")
	if err := os.WriteFile(file, []byte("# a comment\nFROM_FILE=1\nWORKSPACE_ID\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	got, err := specOf(t, "-v", "data:/data:ro", "--volume", "./src:/src", "-v", "/anonymous",
		"--mount", "type=volume,source=m,target=/m", "--tmpfs", "/tmp:size=1m", "-p", "8080:80",
		"--publish", "127.0.0.1::53/udp", "--network", "name=net,alias=a", "--network-alias", "b",
		"-l", "k=v", "-m", "2g", "--cpus", "1.5", "--env-file", file, "--entrypoint", "sh",
		"-w", "/src", "-u", "1000:1000", "--hostname", "h", "--restart", "on-failure:3",
		"--log-opt", "max-size=1m", "--add-host", "x:127.0.0.1", "--init", "--read-only",
		"--cap-drop", "ALL", "--shm-size", "1m", "--memory-swap", "-1")
	if err != nil {
		t.Fatal(err)
	}
	h := got.Host
	for what, ok := range map[string]bool{
		"binds": slices.Equal(h.Binds, []string{"data:/data:ro", dir + "/src:/src"}) &&
			slices.Equal(got.Volumes, []string{"/anonymous"}) && len(h.Mounts) == 1 &&
			h.Mounts[0].Target == "/m" && h.Tmpfs["/tmp"] == "size=1m",
		"ports": fmt.Sprint(h.PortBindings) ==
			"map[53/udp:[{127.0.0.1 }] 80/tcp:[{invalid IP 8080}]]",
		"network": h.NetworkMode == "net" &&
			slices.Equal(got.Networks["net"].Aliases, []string{"a", "b"}),
		"limits": h.Memory == 2<<30 && h.MemorySwap == -1 && h.NanoCPUs == 1_500_000_000 &&
			h.ShmSize == 1<<20,
		"env": strings.HasPrefix(strings.Join(got.Env, " "), "FROM_FILE=1 WORKSPACE_ID=w1 "),
		"process": slices.Equal(got.Entrypoint, []string{"sh"}) && got.WorkingDir == "/src" &&
			got.User == "1000:1000" && got.Hostname == "h",
		"restart": h.RestartPolicy.Name == "on-failure" && h.RestartPolicy.MaximumRetryCount == 3,
		"rest": got.Labels["k"] == "v" && h.LogConfig.Config["max-size"] == "1m" &&
			slices.Equal(h.ExtraHosts, []string{"x:127.0.0.1"}) && *h.Init && h.ReadonlyRootfs &&
			slices.Equal(h.CapDrop, []string{"ALL"}),
	} {
		if !ok {
			t.Errorf("%s: %+v", what, got)
		}
	}
	if none, err := specOf(t, "--entrypoint", ""); err != nil ||
		!slices.Equal(none.Entrypoint, []string{""}) {
		t.Errorf("no entrypoint: %+v, %v", none, err)
	}
	if plain, err := specOf(t); err != nil || plain.Entrypoint != nil || plain.Host.Init != nil ||
		len(plain.Host.Binds)+len(plain.Host.PortBindings)+len(plain.Labels) != 0 ||
		plain.Name != "" {
		t.Errorf("without flags: %+v, %v", plain, err)
	}
}

func TestDockerFlagsRefused(t *testing.T) {
	for _, args := range []string{
		"-p nonsense", "-p 99999:80", "-m much", "--cpus x", "--restart sometimes",
		"--rm --restart always", "-v a:", "-v :/x", "--mount x", "--env-file /nonexistent",
		"--network-alias a", "--network name=host,alias=a", "--network a --network host",
		"--label =x", "--add-host x", "--build-arg A=B",
	} {
		_, err := specOf(t, strings.Fields(args)...)
		got := call(t.Context(), twoGood(), append([]string{"run", "one"},
			strings.Fields(args)...)...)
		if err == nil || got.code != exitcode.Usage {
			t.Errorf("%s: %v; %+v", args, err, got)
		}
	}
}

func TestRunAsWorkspace(t *testing.T) {
	got, err := specOf(t, "--workspace", "-d")
	if err != nil {
		t.Fatal(err)
	}
	h := got.Host
	if got.Name != "ws-w1" || got.Labels[labelWorkspace] != "w1" ||
		got.Labels[labelRuntime] != "hermes" || h.RestartPolicy.Name != "unless-stopped" ||
		!slices.Equal(h.Binds, []string{"ws-w1-configs:/configs", "ws-w1-workspace:/workspace"}) ||
		fmt.Sprint(h.PortBindings) != "map[8000/tcp:[{127.0.0.1 }]]" ||
		h.LogConfig.Type != "json-file" || h.LogConfig.Config["max-file"] != "3" {
		t.Errorf("%+v", got)
	}
	got, err = specOf(t, "--workspace", "--rm", "--name", "mine", "-v", "./c:/configs:ro",
		"--mount", "type=tmpfs,target=/workspace", "-p", "9000:8000", "-l", labelRuntime+"=x",
		"--log-driver", "none")
	if err != nil {
		t.Fatal(err)
	}
	h = got.Host
	if got.Name != "mine" || got.Labels[labelRuntime] != "x" || h.RestartPolicy.Name != "" ||
		len(h.Binds) != 1 || h.PortBindings[network.MustParsePort("8000/tcp")][0].HostPort !=
		"9000" || h.LogConfig.Type != "none" || len(h.LogConfig.Config) != 0 {
		t.Errorf("%+v", got)
	}
}
