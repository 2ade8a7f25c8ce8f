package cli

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"

	"github.com/docker/cli/opts"
	"github.com/docker/cli/pkg/kvfile"
	"github.com/docker/go-connections/nat"
	engine "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/spf13/pflag"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/container"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
)

// dockerFlags are the flags of docker run that describe the container, under their own names, read
// by docker's own parsers.
type dockerFlags struct {
	volumes, tmpfs, publish, labels, envFiles opts.ListOpts
	networkAliases, extraHosts, logOptions    opts.ListOpts
	capAdd, capDrop                           opts.ListOpts
	mounts                                    opts.MountOpt
	networks                                  opts.NetworkOpt
	memory, shm                               opts.MemBytes
	memorySwap                                opts.MemSwapBytes
	cpus                                      opts.NanoCPUs

	entrypoint, workdir, user, hostname, restart, logDriver string
	init, readOnly, privileged                              bool
	entrypointSet, initSet                                  bool
}

func newDockerFlags() dockerFlags {
	list := func() opts.ListOpts { return opts.NewListOpts(nil) }
	return dockerFlags{volumes: list(), tmpfs: list(), publish: list(), envFiles: list(),
		labels: opts.NewListOpts(opts.ValidateLabel), networkAliases: list(),
		extraHosts: opts.NewListOpts(opts.ValidateExtraHost), logOptions: list(), capAdd: list(),
		capDrop: list()}
}

func (f *dockerFlags) register(fs *pflag.FlagSet) {
	fs.Var(&f.envFiles, "env-file", "`file` with a variable a line; can be repeated")
	fs.VarP(&f.volumes, "volume", "v",
		"`volume` for the container: SOURCE:PATH[:OPTIONS], or PATH; can be repeated")
	fs.Var(&f.mounts, "mount", "`mount` for the container: type=...,source=...,target=...")
	fs.Var(&f.tmpfs, "tmpfs", "`path` of a file system in memory")
	fs.VarP(&f.publish, "publish", "p",
		"publish a `port`: [[IP:]HOST-PORT:]PORT[/PROTOCOL]; can be repeated")
	fs.Var(&f.networks, "network", "`network` to join; can be repeated")
	fs.Var(&f.networkAliases, "network-alias", "`name` of the container in the first network")
	fs.Var(&f.extraHosts, "add-host", "a `host` and its address: NAME:IP")
	fs.StringVar(&f.hostname, "hostname", "", "the container's host `name`; -h is help here")
	fs.VarP(&f.labels, "label", "l", "`label` of the container: KEY=VALUE; can be repeated")
	fs.VarP(&f.memory, "memory", "m", "most `memory`, for example 2g")
	fs.Var(&f.memorySwap, "memory-swap",
		"most memory and swap together, in `bytes`; -1 for no limit")
	fs.Var(&f.shm, "shm-size", "size of /dev/shm in `bytes`")
	fs.Var(&f.cpus, "cpus", "`number` of CPUs, for example 1.5")
	fs.StringVar(&f.entrypoint, "entrypoint", "",
		"`program` in place of the image's entrypoint; \"\" for none")
	fs.StringVarP(&f.workdir, "workdir", "w", "", "`folder` in the container to start in")
	fs.StringVarP(&f.user, "user", "u", "", "`user` of the container: NAME or UID, [:GROUP]")
	fs.StringVar(&f.restart, "restart", "",
		"restart `policy`: no, on-failure[:N], always or unless-stopped")
	fs.StringVar(&f.logDriver, "log-driver", "", "logging `driver`")
	fs.Var(&f.logOptions, "log-opt", "`option` of the logging driver: KEY=VALUE")
	fs.BoolVar(&f.init, "init", false, "run an init that forwards signals and reaps processes")
	fs.BoolVar(&f.readOnly, "read-only", false, "mount the container's root file system read-only")
	fs.BoolVar(&f.privileged, "privileged", false, "give the container all privileges")
	fs.Var(&f.capAdd, "cap-add", "add a Linux `capability`")
	fs.Var(&f.capDrop, "cap-drop", "drop a Linux `capability`")
}

func (f *dockerFlags) noteSet(fs *pflag.FlagSet) {
	f.entrypointSet, f.initSet = fs.Changed("entrypoint"), fs.Changed("init")
}

// variables returns those of --env-file. A line without a value takes it from lookup.
func (f *dockerFlags) variables(lookup func(string) (string, bool)) (env []string, err error) {
	for _, file := range f.envFiles.GetSlice() {
		lines, err := kvfile.Parse(file, lookup)
		if err != nil {
			return nil, flags.Errorf("--env-file: %w", err)
		}
		env = append(env, lines...)
	}
	return env, nil
}

// apply adds what the flags say to the container.
func (f *dockerFlags) apply(to *container.Spec) error {
	restart, err := opts.ParseRestartPolicy(f.restart)
	if err == nil {
		err = engine.ValidateRestartPolicy(restart)
	}
	if err != nil {
		return flags.Errorf("--restart: %w", err)
	}
	if to.Remove && !restart.IsNone() && f.restart != "" {
		return flags.Errorf("--restart %s keeps the container and --rm removes it; use one of them",
			f.restart)
	}
	ports, err := portBindings(f.publish.GetSlice())
	if err != nil {
		return flags.Errorf("--publish: %w", err)
	}
	to.WorkingDir, to.User, to.Hostname = f.workdir, f.user, f.hostname
	to.Labels = opts.ConvertKVStringsToMap(f.labels.GetSlice())
	switch {
	case f.entrypoint != "":
		to.Entrypoint = []string{f.entrypoint}
	case f.entrypointSet:
		to.Entrypoint = []string{""} // the engine's form of none
	}
	to.Host = engine.HostConfig{
		Mounts: f.mounts.Value(), Tmpfs: splitPairs(f.tmpfs.GetSlice(), ":"),
		PortBindings: ports, RestartPolicy: restart, ExtraHosts: f.extraHosts.GetSlice(),
		ReadonlyRootfs: f.readOnly, Privileged: f.privileged, CapAdd: f.capAdd.GetSlice(),
		CapDrop: f.capDrop.GetSlice(), ShmSize: f.shm.Value(),
		LogConfig: engine.LogConfig{Type: f.logDriver,
			Config: opts.ConvertKVStringsToMap(f.logOptions.GetSlice())},
		Resources: engine.Resources{Memory: f.memory.Value(), MemorySwap: f.memorySwap.Value(),
			NanoCPUs: f.cpus.Value()},
	}
	if f.initSet {
		to.Host.Init = &f.init
	}
	if err := addVolumes(to, f.volumes.GetSlice()); err != nil {
		return err
	}
	return f.join(to)
}

// addVolumes sorts the values of --volume. The engine reads what stands behind the source. As with
// docker, a source is a name unless it is a path.
func addVolumes(to *container.Spec, values []string) error {
	for _, v := range values {
		drive := filepath.VolumeName(v)
		source, rest, hasSource := strings.Cut(v[len(drive):], ":")
		source = drive + source
		switch {
		case v == "" || hasSource && (source == "" || rest == ""):
			return flags.Errorf("--volume %q: use SOURCE:PATH[:OPTIONS] or PATH", v)
		case !hasSource:
			to.Volumes = append(to.Volumes, v)
			continue
		case strings.HasPrefix(source, "."):
			abs, err := filepath.Abs(source)
			if err != nil {
				return fmt.Errorf("--volume %q: %w", v, err)
			}
			source = abs
		}
		to.Host.Binds = append(to.Host.Binds, source+":"+rest)
	}
	return nil
}

func portBindings(specs []string) (network.PortMap, error) {
	_, parsed, err := nat.ParsePortSpecs(specs)
	if err != nil {
		return nil, err
	}
	ports := network.PortMap{}
	for spec, bindings := range parsed {
		port, err := network.ParsePort(string(spec))
		if err != nil {
			return nil, err
		}
		for _, b := range bindings {
			binding := network.PortBinding{HostPort: b.HostPort}
			if b.HostIP != "" {
				if binding.HostIP, err = netip.ParseAddr(b.HostIP); err != nil {
					return nil, err
				}
			}
			ports[port] = append(ports[port], binding)
		}
	}
	return ports, nil
}

// join sets the networks. The first is the container's mode; the engine takes the settings of
// networks that users made only.
func (f *dockerFlags) join(to *container.Spec) error {
	networks, aliases := f.networks.Value(), f.networkAliases.GetSlice()
	if len(networks) == 0 && len(aliases) > 0 {
		return flags.Errorf("--network-alias needs --network")
	}
	for i, n := range networks {
		if i == 0 {
			to.Host.NetworkMode = engine.NetworkMode(n.Target)
			n.Aliases = append(n.Aliases, aliases...)
		}
		settings := &network.EndpointSettings{Aliases: n.Aliases, DriverOpts: n.DriverOpts,
			GwPriority: n.GwPriority}
		if n.IPv4Address.IsValid() || n.IPv6Address.IsValid() || len(n.LinkLocalIPs) > 0 {
			settings.IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: n.IPv4Address,
				IPv6Address: n.IPv6Address, LinkLocalIPs: n.LinkLocalIPs}
		}
		if n.MacAddress != "" {
			return flags.Errorf("--network: mac-address is not supported")
		}
		if !engine.NetworkMode(n.Target).IsUserDefined() {
			if len(networks) > 1 || len(n.Aliases) > 0 || settings.IPAMConfig != nil {
				return flags.Errorf("--network %s: only networks that were created with docker "+
					"network create can be joined with others, or have names and addresses",
					n.Target)
			}
			continue
		}
		if to.Networks == nil {
			to.Networks = map[string]*network.EndpointSettings{}
		}
		to.Networks[n.Target] = settings
	}
	return nil
}

func splitPairs(values []string, separator string) map[string]string {
	if len(values) == 0 {
		return nil
	}
	pairs := map[string]string{}
	for _, v := range values {
		key, value, _ := strings.Cut(v, separator)
		pairs[key] = value
	}
	return pairs
}
