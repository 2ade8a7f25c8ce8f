package cli

import "github.com/spf13/cobra"

const exitCodesText = `Pinion's exit codes:

    0  done
    1  something that has no code of its own
   10  not in the catalogue, not found, not mirrored, or a commit that is not on the template's branch
   11  not authorised: the git server or the registry wants a credential, or refused it
   12  a git server or registry cannot be reached, or its answer is invalid
   13  no builder answers, or it lacks the platform
   14  the image store does not answer, or did not take the image
   15  what was delivered is not what was built, or a working tree changed during the build
   16  another process held the lock on the same image for too long
   20  the build failed (the error names the Dockerfile's line and the step's exit code), the template was refused, or nothing
       moved in the build for the time of --stall-after
   64  usage: arguments, flags, configuration
  125  the engine did not create or start the container (pinion run)
  130  cancelled by Ctrl-C or SIGTERM

pinion run exits with the container's exit code, which can be any; only a failure of Pinion's own comes with a line
"pinion: error:" on stderr.

With several names the first failure in the order of the arguments decides. With --format json an error is one
object on stderr: {"schema":1,"name":...,"error":...,"origin":...,"exit_code":...}, where origin is usage,
catalogue, git server, registry, buildkit, docker or cache. Name and origin are left out where there are none.`

// exitCodesTopic is no verb; cobra lists it under the additional help topics.
func exitCodesTopic() *cobra.Command {
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: exitCodesText}
}
