// Package parts starts the real components that Pinion works with: Gitea, buildkitd, Docker
// engines, a registry and a plain git server. It also has proxies that count requests and bytes and
// fail on demand.
//
// In a test, package partstest starts them, and ends them with the test:
//
//	g := partstest.Gitea(t)
//	repo, err := g.CreateRepo(t.Context(), parts.Admin, "hello", parts.RepoOptions{Private: true})
//	sha, err := g.Push(t.Context(), repo, parts.Commit{
//		Files: partstest.BusyboxTemplate(t, "RUN echo hi > /greeting"),
//	})
//	engine := partstest.Dockerd(t, parts.Docker29Classic)       // DOCKER_HOST = engine.Host()
//	builder := partstest.Buildkitd(t, parts.BuildkitdOptions{}) // BUILDKIT_HOST = builder.Addr()
//	front := partstest.Proxy(t, g.URL())                        // front.Count("git-upload-pack")
//
// What holds for every part:
//
//   - All of its state is in the folder that it was given. It listens on loopback, or on a unix
//     socket below /tmp. Parts of several processes run side by side.
//   - The context of a Start function bounds the start. The part runs until Close.
//   - Close ends the part and removes what it made outside its folder (bridges, control groups).
//     The part has ended when Close returns. Kill, of engines and builders, is a crash. Restart
//     brings the part back on the same state and address.
//   - Engines and builders run in mount and process namespaces of their own, with an empty /run.
//     The kernel removes their mounts and children however they end, also when the process that
//     started them is killed. The next start removes bridges and control groups that a killed
//     process left.
//   - Engines and builders need root, on Linux. RUN steps reach servers on loopback in buildkitd
//     (host network), but not in Docker engines (a bridge without a route out). Git fetches and ADD
//     of a URL reach them in both.
//
// The package reads no environment and imports no testing package, so that programs (the demo, the
// benchmarks) use it as well. It installs nothing: a missing program is ErrMissing or ErrNeedsRoot.
package parts
