package docker

import (
	"context"
	"fmt"

	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// containerdDriver is how an engine names the containerd image store in the
// driver status of GET /info (moby, daemon/info.go; since engine 24).
const containerdDriver = "io.containerd.snapshotter.v1"

// Info describes the engine. Errors are *imagestore.Error, ErrUnavailable among them.
func (e *Engine) Info(ctx context.Context) (imagestore.EngineInfo, error) {
	ctx, cancel := brief(ctx)
	defer cancel()
	version, err := e.apiVersion(ctx)
	if err != nil {
		return imagestore.EngineInfo{}, e.fail(ctx, "info", "", err)
	}
	result, err := e.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return imagestore.EngineInfo{}, e.fail(ctx, "info", "", err)
	}
	if result.Info.OSType == "windows" {
		return imagestore.EngineInfo{}, e.fail(ctx, "info", "", errdef.In(errdef.WindowsContainers,
			"", fmt.Errorf("the engine at %s runs Windows containers", e.endpoint)))
	}
	return imagestore.EngineInfo{
		Version:    result.Info.ServerVersion,
		APIVersion: version,
		Kind:       kindOf(result.Info),
		Platform:   machinePlatform(result.Info.OSType, result.Info.Architecture),
		OSType:     result.Info.OSType,
		RootDir:    result.Info.DockerRootDir,
		ID:         result.Info.ID,
		Driver:     result.Info.Driver,
		MaxLayers:  maxLayers(result.Info),
	}, nil
}

// maxLayers is how many layers a container's image may have. The drivers that stack folders take
// 128, and the container's own setting up is one of them (moby, daemon/graphdriver/overlay2).
func maxLayers(info system.Info) int {
	if kindOf(info) != imagestore.KindClassic {
		return 0
	}
	switch info.Driver {
	case "overlay2", "overlay", "fuse-overlayfs", "aufs":
		return 127
	}
	return 0
}

func kindOf(info system.Info) imagestore.Kind {
	for _, pair := range info.DriverStatus {
		if pair[0] == "driver-type" && pair[1] == containerdDriver {
			return imagestore.KindContainerd
		}
	}
	return imagestore.KindClassic
}

// machinePlatform returns the platform for an architecture of GET /info. That is the kernel's name
// for the machine (uname -m), which images do not use.
func machinePlatform(os, machine string) string {
	switch machine {
	case "armv7l":
		return imagestore.FormatPlatform(os, "arm", "v7")
	case "armv6l":
		return imagestore.FormatPlatform(os, "arm", "v6")
	case "i686":
		return imagestore.FormatPlatform(os, "386", "")
	}
	return imagestore.FormatPlatform(os, machine, "")
}
