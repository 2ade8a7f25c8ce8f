package cli

import "github.com/spf13/cobra"

const exitCodesText = `Pinion's exit codes:

    0  done
    1  an error without a code of its own
   10  not in the catalogue, not found, not mirrored, or a commit that is not on the template's
       branch
   11  not authorised: the git server or the registry needs a credential, or refused it
   12  a git server, a registry or another server that the Dockerfile names cannot be reached, its
       answer is invalid, or it sent nothing for the time of --stall-after
   13  no builder answers, or it lacks the platform, disk or memory
   14  the image store does not answer, or did not accept the image
   15  the delivered image is not the one that was built, or a working tree changed during the build
   16  another process held the lock on the same image for too long
   20  the build failed (the error names the Dockerfile's line and the step's exit code), the
       template was refused, a step made no progress for the time of --stall-after, or the build
       took longer than --timeout
   64  wrong usage: arguments, flags, configuration
  125  the engine did not create or start the container (pinion run)
  130  cancelled by Ctrl-C or SIGTERM

pinion run exits with the container's exit code, which can be any number. Only Pinion's own failures
print a line "pinion: error:" on stderr.

With several names, the first failure in the order of the arguments decides. With --format json an
error is one object on stderr:

  {"schema":1,"name":...,"error":...,"origin":...,"exit_code":...,"log":[...],"pushed":[...]}

The origin is usage, catalogue, git server, registry, buildkit, docker or cache. log has the last
lines that the failed step printed, and pushed the names that were pushed before the error. What an
error has nothing to say to is left out.`

// exitCodesTopic returns a help topic, which is a command that cannot be run.
func exitCodesTopic() *cobra.Command {
	return &cobra.Command{Use: "exit-codes", Short: "Meaning of the exit codes",
		Long: exitCodesText}
}
