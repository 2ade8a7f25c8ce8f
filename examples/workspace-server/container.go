package main

import (
	"net/netip"
	"strconv"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// agentPort is where the runtime in a container listens.
const agentPort = "8000/tcp"

// spec describes a workspace's container. The image is an ID, because a name may refer to another
// image by now.
func (s *server) spec(req request, imageID string) client.ContainerCreateOptions {
	port := network.MustParsePort(agentPort)
	return client.ContainerCreateOptions{
		Name: "ws-" + req.WorkspaceID,
		Config: &container.Config{
			Image: imageID, Env: s.env(req), ExposedPorts: network.PortSet{port: {}},
			Labels: map[string]string{
				"app.moleculesai.workspace.id":      req.WorkspaceID,
				"app.moleculesai.workspace.runtime": req.Runtime,
			},
		},
		HostConfig: &container.HostConfig{
			// The volumes outlive the container.
			Binds: []string{
				"ws-" + req.WorkspaceID + "-configs:" + s.configPath,
				"ws-" + req.WorkspaceID + "-workspace:/workspace",
			},
			// The engine chooses a free port, which other machines do not reach.
			PortBindings: network.PortMap{port: {{HostIP: netip.AddrFrom4([4]byte{127, 0, 0, 1})}}},
			RestartPolicy: container.RestartPolicy{
				Name: container.RestartPolicyUnlessStopped,
			},
			LogConfig: container.LogConfig{
				Type: "json-file", Config: map[string]string{"max-size": "10m", "max-file": "3"},
			},
		},
	}
}

// env returns the workspace's variables without empty ones.
func (s *server) env(req request) (env []string) {
	for _, v := range [][2]string{
		{"WORKSPACE_ID", req.WorkspaceID},
		{"WORKSPACE_CONFIG_PATH", s.configPath},
		{"MODEL_PROVIDER", req.ModelProvider},
		{"TIER", strconv.Itoa(req.Tier)},
		{"PLATFORM_URL", s.platformURL},
		{"MOLECULE_URL", s.platformURL},
		{"PARENT_ID", req.ParentID},
		{"PLUGINS_DIR", "/plugins"},
		{"PYTHONPATH", "/app"}, // where the templates have their adapter
	} {
		if v[1] != "" {
			env = append(env, v[0]+"="+v[1])
		}
	}
	return env
}
