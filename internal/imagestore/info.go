package imagestore

import (
	"context"

	"github.com/containerd/platforms"
	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// containerdDriver is how an engine names the containerd image store in the
// driver status of GET /info (moby, daemon/info.go; since engine 24).
const containerdDriver = "io.containerd.snapshotter.v1"

// Info asks the engine what it is. Errors are *Error, ErrUnavailable among
// them.
func (e *Engine) Info(ctx context.Context) (EngineInfo, error) {
	ctx, cancel := brief(ctx)
	defer cancel()
	version, err := e.apiVersion(ctx)
	if err != nil {
		return EngineInfo{}, e.fail(ctx, "info", "", err)
	}
	result, err := e.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return EngineInfo{}, e.fail(ctx, "info", "", err)
	}
	return EngineInfo{
		Version:    result.Info.ServerVersion,
		APIVersion: version,
		Kind:       kindOf(result.Info),
		Platform:   machinePlatform(result.Info.OSType, result.Info.Architecture),
		OSType:     result.Info.OSType,
		RootDir:    result.Info.DockerRootDir,
	}, nil
}

func kindOf(info system.Info) Kind {
	for _, pair := range info.DriverStatus {
		if pair[0] == "driver-type" && pair[1] == containerdDriver {
			return KindContainerd
		}
	}
	return KindClassic
}

// machinePlatform makes a platform of GET /info's architecture, which is the
// kernel's name for the machine (uname -m) and not the one that images use.
func machinePlatform(os, machine string) string {
	switch machine {
	case "armv7l":
		return platformString(os, "arm", "v7")
	case "armv6l":
		return platformString(os, "arm", "v6")
	case "i686":
		return platformString(os, "386", "")
	}
	return platformString(os, machine, "")
}

// platformString is the normal form: linux/arm64/v8 is linux/arm64, and
// linux/arm is linux/arm/v7. "" stands for an image that names no platform.
func platformString(os, arch, variant string) string {
	if os == "" || arch == "" {
		return ""
	}
	return platforms.Format(platforms.Normalize(ocispec.Platform{OS: os, Architecture: arch,
		Variant: variant}))
}
