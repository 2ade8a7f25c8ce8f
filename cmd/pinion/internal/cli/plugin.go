package cli

import (
	"encoding/json"
	"path/filepath"
	"strings"

	protocol "github.com/docker/cli/cli-plugins/metadata"
	docker "github.com/docker/cli/cli/flags"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/buildversion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
)

// IsPlugin reports whether a program of that name is Docker's plugin "docker pinion".
func IsPlugin(program string) bool {
	name := strings.TrimSuffix(filepath.Base(program), ".exe")
	return name == protocol.NamePrefix+"pinion"
}

// plugin returns the command line as Docker's CLI calls it: `docker [Docker's flags] pinion ...`.
// The words after "docker" are the arguments. Flags before "pinion" are Docker's own and keep their
// meaning; those after it are Pinion's. The protocol is that of docker/cli (cli-plugins/metadata,
// cli/flags). Its plugin package is not used, because it links a second client of the engine and
// makes each start 10 % slower.
func (a *app) plugin() *cobra.Command {
	root := &cobra.Command{Use: "docker", TraverseChildren: true, Args: flags.NoCommand,
		SilenceErrors: true, SilenceUsage: true}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetOut(a.program.Stdout)
	root.SetErr(a.program.Stderr)
	root.SetFlagErrorFunc(flags.ParseError)
	opts := docker.NewClientOptions()
	opts.InstallFlags(root.Flags())

	pinion := a.root()
	pinion.PersistentPreRunE = func(*cobra.Command, []string) error {
		return a.obeyDocker(root.Flags(), opts)
	}
	for _, cmd := range pinion.Commands() {
		if cmd.Name() == "completion" { // Docker's own command completes plugins too
			pinion.RemoveCommand(cmd)
		}
	}
	pinion.AddCommand(helpCommand(pinion))
	root.AddCommand(pinion, a.metadataCommand())
	return root
}

// metadataCommand answers the first question of Docker's CLI to a plugin.
func (a *app) metadataCommand() *cobra.Command {
	return &cobra.Command{
		Use: protocol.MetadataSubcommandName, Hidden: true, Args: flags.Positional(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			return json.NewEncoder(a.program.Stdout).Encode(protocol.Metadata{
				SchemaVersion: "0.1.0", Vendor: "Molecule AI",
				Version:          buildversion.Of(a.program.Version),
				ShortDescription: "Build images of templates from a pinned Git commit",
			})
		},
	}
}

// helpCommand returns the verb help, which cobra adds only to the first command of a tree.
func helpCommand(of *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [command]", Short: "Show help on a command",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := of.Find(args)
			if err != nil || len(rest) > 0 {
				return flags.Errorf("no help on %q", strings.Join(args, " "))
			}
			return cmd.Help()
		},
	}
}

// obeyDocker replaces variables of the environment by Docker's flags of the same meaning.
func (a *app) obeyDocker(fs *pflag.FlagSet, opts *docker.ClientOptions) error {
	vars, err := dockerVariables(fs, opts)
	if err != nil {
		return err
	}
	a.docker = vars
	env := a.program.Lookup
	a.program.Lookup = func(name string) (string, bool) {
		if v, ok := vars[name]; ok {
			return v, true
		}
		return env(name)
	}
	a.global.Debug = a.global.Debug || opts.Debug
	if fs.Changed("log-level") {
		a.global.LogLevel = strings.Replace(opts.LogLevel, "fatal", "error", 1)
	}
	return nil
}

func dockerVariables(fs *pflag.FlagSet, opts *docker.ClientOptions) (map[string]string, error) {
	vars := map[string]string{}
	if fs.Changed("config") {
		vars["DOCKER_CONFIG"] = opts.ConfigDir
	}
	if fs.Changed("host") {
		if fs.Changed("context") {
			return nil,
				flags.Errorf("docker's --host and --context both choose an engine; use one of them")
		}
		vars["DOCKER_HOST"] = opts.Hosts[0]
	}
	if fs.Changed("context") {
		vars["DOCKER_CONTEXT"] = opts.Context
		if opts.Context != "default" { // the default context uses DOCKER_HOST
			vars["DOCKER_HOST"] = ""
		}
	}
	if opts.TLS {
		vars["DOCKER_TLS"] = "1"
	}
	if fs.Changed(docker.FlagTLSVerify) {
		vars["DOCKER_TLS"], vars["DOCKER_TLS_VERIFY"] = "1", ""
		if opts.TLSVerify {
			vars["DOCKER_TLS_VERIFY"] = "1"
		}
	}
	return vars, tlsFolder(fs, vars)
}

// tlsFolder sets the folder of the files in Docker's three flags. There is no variable for a single
// file.
func tlsFolder(fs *pflag.FlagSet, vars map[string]string) error {
	for flag, name := range map[string]string{
		"tlscacert": docker.DefaultCaFile, "tlscert": docker.DefaultCertFile,
		"tlskey": docker.DefaultKeyFile,
	} {
		f := fs.Lookup(flag)
		if !f.Changed {
			continue
		}
		dir, file := filepath.Split(f.Value.String())
		if before, ok := vars["DOCKER_CERT_PATH"]; file != name || ok && before != dir {
			return flags.Errorf("docker's --%s %s: Pinion needs ca.pem, cert.pem and key.pem in "+
				"one folder; set DOCKER_CERT_PATH, or create a Docker context", flag, f.Value)
		}
		vars["DOCKER_CERT_PATH"] = dir
	}
	return nil
}
