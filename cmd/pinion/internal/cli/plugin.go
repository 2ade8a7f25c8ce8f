package cli

import (
	"encoding/json"
	"path/filepath"
	"strings"

	protocol "github.com/docker/cli/cli-plugins/metadata"
	"github.com/docker/cli/cli/flags"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/buildversion"
)

// IsPlugin says whether a program of that name is called by Docker's CLI, as the plugin "docker
// pinion".
func IsPlugin(program string) bool {
	name := strings.TrimSuffix(filepath.Base(program), ".exe")
	return name == protocol.NamePrefix+"pinion"
}

// plugin is the command line as Docker's CLI calls it: `docker [Docker's flags] pinion ...`, with
// the words after "docker" as the arguments. The flags between the two are Docker's and mean what
// they mean there; those behind are Pinion's. It speaks the protocol of docker/cli
// (cli-plugins/metadata, cli/flags) without its plugin package, which brings a second client of the
// engine along and 10 % more time for each start.
func (a *app) plugin() *cobra.Command {
	docker := &cobra.Command{Use: "docker", TraverseChildren: true, Args: noCommand,
		SilenceErrors: true, SilenceUsage: true}
	docker.CompletionOptions.DisableDefaultCmd = true
	docker.SetOut(a.program.Stdout)
	docker.SetErr(a.program.Stderr)
	docker.SetFlagErrorFunc(flagError)
	opts := flags.NewClientOptions()
	opts.InstallFlags(docker.Flags())

	pinion := a.root()
	pinion.PersistentPreRunE = func(*cobra.Command, []string) error {
		return a.obeyDocker(docker.Flags(), opts)
	}
	for _, cmd := range pinion.Commands() {
		if cmd.Name() == "completion" { // Docker's own completes plugins too
			pinion.RemoveCommand(cmd)
		}
	}
	pinion.AddCommand(helpCommand(pinion))
	docker.AddCommand(pinion, a.metadataCommand())
	return docker
}

// metadataCommand is what Docker's CLI asks a plugin first.
func (a *app) metadataCommand() *cobra.Command {
	return &cobra.Command{
		Use: protocol.MetadataSubcommandName, Hidden: true, Args: positional(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			return json.NewEncoder(a.program.Stdout).Encode(protocol.Metadata{
				SchemaVersion: "0.1.0", Vendor: "Molecule AI",
				Version:          buildversion.Of(a.program.Version),
				ShortDescription: "Images of templates, built from a pinned Git commit",
			})
		},
	}
}

// helpCommand is the verb that cobra gives to the first command of a tree alone.
func helpCommand(of *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [command]", Short: "Help about any command",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := of.Find(args)
			if err != nil || len(rest) > 0 {
				return usage("no help about %q", strings.Join(args, " "))
			}
			return cmd.Help()
		},
	}
}

// obeyDocker has Docker's flags take the place of the variables that say the same.
func (a *app) obeyDocker(fs *pflag.FlagSet, opts *flags.ClientOptions) error {
	vars, err := dockerVariables(fs, opts)
	if err != nil {
		return err
	}
	env := a.program.Lookup
	a.program.Lookup = func(name string) (string, bool) {
		if v, ok := vars[name]; ok {
			return v, true
		}
		return env(name)
	}
	a.global.debug = a.global.debug || opts.Debug
	if fs.Changed("log-level") {
		a.global.logLevel = strings.Replace(opts.LogLevel, "fatal", "error", 1)
	}
	return nil
}

func dockerVariables(fs *pflag.FlagSet, opts *flags.ClientOptions) (map[string]string, error) {
	vars := map[string]string{}
	if fs.Changed("config") {
		vars["DOCKER_CONFIG"] = opts.ConfigDir
	}
	if fs.Changed("host") {
		if fs.Changed("context") {
			return nil, usage("docker's --host and --context both name an engine; give one of them")
		}
		vars["DOCKER_HOST"] = opts.Hosts[0]
	}
	if fs.Changed("context") {
		vars["DOCKER_CONTEXT"] = opts.Context
		if opts.Context != "default" { // which is the one of DOCKER_HOST
			vars["DOCKER_HOST"] = ""
		}
	}
	if opts.TLS {
		vars["DOCKER_TLS"] = "1"
	}
	if fs.Changed(flags.FlagTLSVerify) {
		vars["DOCKER_TLS"], vars["DOCKER_TLS_VERIFY"] = "1", ""
		if opts.TLSVerify {
			vars["DOCKER_TLS_VERIFY"] = "1"
		}
	}
	return vars, tlsFolder(fs, vars)
}

// tlsFolder finds the folder that Docker's three flags mean. There is no variable for each of the
// files.
func tlsFolder(fs *pflag.FlagSet, vars map[string]string) error {
	for flag, name := range map[string]string{
		"tlscacert": flags.DefaultCaFile, "tlscert": flags.DefaultCertFile,
		"tlskey": flags.DefaultKeyFile,
	} {
		f := fs.Lookup(flag)
		if !f.Changed {
			continue
		}
		dir, file := filepath.Split(f.Value.String())
		if before, ok := vars["DOCKER_CERT_PATH"]; file != name || ok && before != dir {
			return usage("docker's --%s %s: Pinion takes ca.pem, cert.pem and key.pem of one "+
				"folder; name it by DOCKER_CERT_PATH, or make a Docker context", flag, f.Value)
		}
		vars["DOCKER_CERT_PATH"] = dir
	}
	return nil
}
