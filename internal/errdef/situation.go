package errdef

import "errors"

// Situation names what is wrong where a program can tell its user how to mend it. An error's text
// says what is wrong; what to run or to set depends on the program, which looks it up by the
// situation.
type Situation string

// The situations. The comment says what the detail is, if there is one.
const (
	// EngineUnreachable: no Docker engine answers at an address.
	EngineUnreachable Situation = "engine unreachable"
	// EngineSlow: the Docker engine at an address takes too long to answer.
	EngineSlow Situation = "engine slow"
	// EngineFiltered: a program before the Docker engine refuses a request, which is the detail.
	EngineFiltered Situation = "engine filtered"
	// NotAnEngine: what answers at the address of a Docker engine is something else.
	NotAnEngine Situation = "not an engine"
	// EngineWithoutBuildKit: a Docker engine has no BuildKit, such as Podman.
	EngineWithoutBuildKit Situation = "engine without BuildKit"
	// WindowsContainers: a Docker engine runs Windows containers.
	WindowsContainers Situation = "Windows containers"
	// APIVersionFixed: the version of the engine's API was set by hand, and the engine does not
	// speak it. The detail is the version.
	APIVersionFixed Situation = "API version fixed"
	// TooManyLayers: an image has more layers than the Docker engine's image store takes.
	TooManyLayers Situation = "too many layers"
	// ContextUnknown: there is no Docker context of a name.
	ContextUnknown Situation = "Docker context unknown"
	// DockerConfigBroken: a file of the Docker config cannot be read.
	DockerConfigBroken Situation = "Docker config broken"
	// TLSFilesMissing: a folder lacks the TLS files of the Docker engine.
	TLSFilesMissing Situation = "TLS files missing"
	// CredentialHelperFailed: a Docker credential helper failed for a registry.
	CredentialHelperFailed Situation = "credential helper failed" //nolint:gosec // no credential
	// RegistryUnauthorized: a registry refused the credentials of the Docker config.
	RegistryUnauthorized Situation = "registry unauthorized"
	// RegistryTagFixed: a registry does not let a tag move. The detail is its host.
	RegistryTagFixed Situation = "registry tag fixed"
	// RegistryBodyLimit: a proxy before a registry refuses requests of that size, also small ones.
	// The detail is the registry's host.
	RegistryBodyLimit Situation = "registry body limit"
	// TransferStalled: a pull from or a push to a registry made no progress for too long.
	TransferStalled Situation = "transfer stalled"
	// RegistryBlank: the registry to pull from is a value of blanks.
	RegistryBlank Situation = "registry blank"
	// RegistryImageMissing: a registry does not have the image of a reference.
	RegistryImageMissing Situation = "image missing in registry"
	// RegistryUnreachable: a registry does not answer the engine, or this process.
	RegistryUnreachable Situation = "registry unreachable"
	// PullNeedsEngine: a pull was requested from a store that is no engine.
	PullNeedsEngine Situation = "pull needs an engine"
	// DiskFull: there is no space below a folder.
	DiskFull Situation = "disk full"
	// FolderReadOnly: a folder for images is not writable.
	FolderReadOnly Situation = "folder read-only"
	// FolderForeign: a folder is in use for something other than images.
	FolderForeign Situation = "folder foreign"
	// LayoutBroken: the index of an OCI image layout in a folder is broken.
	LayoutBroken Situation = "layout broken"
	// BuilderDown: a standalone buildkitd does not answer, or stopped answering. The detail is its
	// address.
	BuilderDown Situation = "builder down"
	// ManagedBuilderDown: the buildkitd that Pinion started does not answer.
	ManagedBuilderDown Situation = "managed builder down"
	// BuildxBuilderDown: a node of a builder in buildx does not answer. The detail is the builder's
	// name.
	BuildxBuilderDown Situation = "buildx builder down"
	// BuilderTooOld: the builder's BuildKit lacks something that the build needs.
	BuilderTooOld Situation = "builder too old"
	// PlatformUnsupported: the builder cannot run a platform. The detail is its architecture.
	PlatformUnsupported Situation = "platform unsupported"
	// PlatformEmulated: the builder emulates the default platform.
	PlatformEmulated Situation = "platform emulated"
	// BasePlatform: the base image is of another platform than the one that is built.
	BasePlatform Situation = "base image of another platform"
	// BuildxFileBroken: a file of buildx cannot be used.
	BuildxFileBroken Situation = "buildx file broken"
	// SourceUnavailable: a registry or server that a Dockerfile names is not available to the
	// builder.
	SourceUnavailable Situation = "source of the Dockerfile unavailable"
	// BuilderExhausted: the builder has no more disk or memory. The detail is its address.
	BuilderExhausted Situation = "builder exhausted"
	// NoWorkingTree: the folder of a working tree cannot be used.
	NoWorkingTree Situation = "no working tree"
	// TreeUnreadable: a file of a working tree cannot be read.
	TreeUnreadable Situation = "tree unreadable"
	// TreeChanged: a working tree changed during its upload.
	TreeChanged Situation = "tree changed"
	// DockerfileMissing: the template has no Dockerfile at the path in the catalogue.
	DockerfileMissing Situation = "Dockerfile missing"
	// SubmoduleNotAllowed: a submodule's repository is not in the catalogue's list. The detail is
	// its host.
	SubmoduleNotAllowed Situation = "submodule not allowed"
	// LFSHostNotAllowed: an object of Git LFS is at a host that is not in the catalogue's list. The
	// detail is the host.
	LFSHostNotAllowed Situation = "LFS host not allowed"
	// GitDirWanted: a step needs the repository's .git, which the build context leaves out.
	GitDirWanted Situation = ".git wanted"
	// FrontendNotAllowed: the Dockerfile names a frontend image that is not allowed.
	FrontendNotAllowed Situation = "frontend not allowed"
	// BuildStalled: a fetch or a step made no progress for too long.
	BuildStalled Situation = "build stalled"
	// TimeLimit: a build took longer than its time limit.
	TimeLimit Situation = "time limit exceeded"
	// DeliveryStalled: a delivery made no progress for too long.
	DeliveryStalled Situation = "delivery stalled"
	// AttestationUnreadable: the builder does not give out the parts of an image with attestations.
	AttestationUnreadable Situation = "attestation unreadable"
	// SBOMRequested: an SBOM was requested with the build, which makes none.
	SBOMRequested Situation = "SBOM requested"
	// ConfigMissing: the configuration file that the user names does not exist.
	ConfigMissing Situation = "configuration file missing"
	// GivenMissing: the image that the catalogue gives is not in the image store. The detail is the
	// image.
	GivenMissing Situation = "given image missing"
	// PlainHTTPPrefix: the repository prefix is an http URL of a host that isn't loopback.
	PlainHTTPPrefix Situation = "repository prefix with http"
	// CacheFolderWritable: group or others may write to the cache folder. The detail is its path.
	CacheFolderWritable Situation = "cache folder writable by others"
	// CacheFolderUnsuitable: the cache folder is a link or no folder, or belongs to another user.
	CacheFolderUnsuitable Situation = "cache folder unsuitable"
	// CommitOffBranch: the commit is not on the template's branch.
	CommitOffBranch Situation = "commit off the branch"
	// BuilderUnknown: buildx has no builder of a name.
	BuilderUnknown Situation = "builder unknown"
	// BuildxMissing: a builder is reached through the buildx plugin, and there is none.
	BuildxMissing Situation = "buildx missing"
	// ManagedMissing: the program has no managed BuildKit.
	ManagedMissing Situation = "managed BuildKit missing"
	// EngineNeeded: containers were requested of a store that is no engine.
	EngineNeeded Situation = "engine needed"
	// IndexNeeded: the image store cannot hold an index.
	IndexNeeded Situation = "index needed"
	// Leftovers: earlier tools left images or clones.
	Leftovers Situation = "leftovers of earlier tools"
	// BakePrivate: a template of a name is private, so bake must not build it.
	BakePrivate Situation = "bake of a private repository"
)

// situationError is an error in a situation. Its text is that of err.
type situationError struct {
	error
	situation Situation
	detail    string
}

func (e *situationError) Unwrap() error { return e.error }

// In returns err in the situation s, nil if err is nil. The text of the error stays as it is. The
// detail is what the advice names, such as a host; it may be empty.
func In(s Situation, detail string, err error) error {
	if err == nil {
		return nil
	}
	return &situationError{error: err, situation: s, detail: detail}
}

// SituationOf returns the outermost situation that err is in and its detail, or "" if there is
// none.
func SituationOf(err error) (s Situation, detail string) {
	if at, ok := errors.AsType[*situationError](err); ok {
		return at.situation, at.detail
	}
	return "", ""
}
