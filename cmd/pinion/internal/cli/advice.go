package cli

import (
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
)

// advice maps what is wrong to what to run or to set. "{}" stands for the situation's detail.
var advice = map[errdef.Situation]string{
	errdef.EngineUnreachable: "start the Docker engine, choose another with --host, --context or " +
		"DOCKER_HOST, or build without one into a folder with --store oci:DIR",
	errdef.SBOMRequested:   "scan the finished image, for example with `docker scout sbom` or syft",
	errdef.PlainHTTPPrefix: "use https, or allow http with --allow-http or PINION_ALLOW_HTTP=1",
	errdef.CacheFolderWritable: "run `chmod 700 {}`, or choose another folder with --cache-dir or " +
		"MOLECULE_LOCAL_BUILD_CACHE",
	errdef.CacheFolderUnsuitable: "choose another folder with --cache-dir or " +
		"MOLECULE_LOCAL_BUILD_CACHE",
	errdef.CommitOffBranch: "choose a commit of the branch, or allow any with --allow-any-sha",
	errdef.ConfigMissing:   "create the file, or correct its name in --config or PINION_CONFIG",
}

// adviceFor returns what to do about err, or "" if the table has nothing for it.
func adviceFor(err error) string {
	situation, detail := errdef.SituationOf(err)
	return strings.ReplaceAll(advice[situation], "{}", detail)
}
