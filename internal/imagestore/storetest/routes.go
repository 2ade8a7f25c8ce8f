package storetest

import (
	"encoding/json"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/image"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

func (f *Fake) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/_ping", f.ping)
	mux.HandleFunc("GET /info", f.info)
	mux.HandleFunc("GET /images/json", f.list)
	mux.HandleFunc("POST /images/load", f.load)
	mux.HandleFunc("POST /images/create", f.Pull)
	mux.HandleFunc("POST /grpc", hijack)
	// Names have slashes of their own, which a pattern cannot end after.
	mux.HandleFunc("/images/", func(w http.ResponseWriter, r *http.Request) {
		rest := strings.TrimPrefix(r.URL.Path, "/images/")
		switch name, verb := cutLast(rest, "/"); {
		case r.Method == http.MethodGet && verb == "json":
			f.inspect(w, name, r.URL.Query().Get("manifests") == "1")
		case r.Method == http.MethodPost && verb == "tag":
			f.tag(w, name, r.URL.Query().Get("repo")+":"+r.URL.Query().Get("tag"))
		case r.Method == http.MethodDelete:
			f.remove(w, rest)
		default:
			refuse(w, http.StatusNotFound, "page not found")
		}
	})
	return mux
}

func cutLast(s, sep string) (before, after string) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):]
	}
	return s, ""
}

func (f *Fake) ping(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Api-Version", f.apiVersion)
	w.Header().Set("Ostype", "linux")
	_, _ = io.WriteString(w, "OK")
}

func (f *Fake) info(w http.ResponseWriter, _ *http.Request) {
	status := [][2]string{{"Backing Filesystem", "extfs"}}
	if f.kind == imagestore.KindContainerd {
		status = [][2]string{{"driver-type", "io.containerd.snapshotter.v1"}}
	}
	machine := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	answer(w, http.StatusOK, map[string]any{"ServerVersion": "99.0.0-fake", "OSType": "linux",
		"Architecture": machine, "DriverStatus": status})
}

func (f *Fake) inspect(w http.ResponseWriter, name string, manifests bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	img, ok := f.find(name)
	if !ok {
		refuse(w, http.StatusNotFound, "No such image: "+name)
		return
	}
	var config ocispec.Image
	must(0, json.Unmarshal(img.archive.config, &config))
	described := map[string]any{
		"Id": img.id, "RepoTags": f.tagsOf(img.id), "Os": config.OS,
		"Architecture": config.Architecture, "Variant": config.Variant,
		"Created": config.Created, "Size": img.archive.size,
		"Config": map[string]any{"Labels": config.Config.Labels},
	}
	if manifests && f.kind == imagestore.KindContainerd {
		described["Manifests"] = []image.ManifestSummary{{ID: img.id, Kind: image.ManifestKindImage,
			Available: img.archive.complete}}
	}
	answer(w, http.StatusOK, described)
}

func (f *Fake) list(w http.ResponseWriter, r *http.Request) {
	var filters struct{ Label map[string]bool }
	_ = json.Unmarshal([]byte(r.URL.Query().Get("filters")), &filters)
	f.mu.Lock()
	defer f.mu.Unlock()
	all := []image.Summary{}
	for _, img := range f.images {
		var config ocispec.Image
		must(0, json.Unmarshal(img.archive.config, &config))
		if hasLabels(config.Config.Labels, filters.Label) {
			summary := image.Summary{ID: img.id, RepoTags: f.tagsOf(img.id),
				Labels: config.Config.Labels, Size: img.archive.size}
			if config.Created != nil {
				summary.Created = config.Created.Unix()
			}
			all = append(all, summary)
		}
	}
	answer(w, http.StatusOK, all)
}

func hasLabels(have map[string]string, want map[string]bool) bool {
	for key := range want {
		if _, ok := have[key]; !ok {
			return false
		}
	}
	return true
}

func (f *Fake) tag(w http.ResponseWriter, source, target string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	img, ok := f.find(source)
	if !ok {
		refuse(w, http.StatusNotFound, "No such image: "+source)
		return
	}
	f.tags[fullName(target)] = img.id
	w.WriteHeader(http.StatusCreated)
}

func (f *Fake) remove(w http.ResponseWriter, name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, isID := f.images[name]; isID && len(f.tagsOf(name)) == 0 {
		delete(f.images, name)
		answer(w, http.StatusOK, []image.DeleteResponse{{Deleted: name}})
		return
	}
	id, ok := f.tags[fullName(name)]
	if !ok {
		refuse(w, http.StatusNotFound, "No such image: "+name)
		return
	}
	delete(f.tags, fullName(name))
	deleted := []image.DeleteResponse{{Untagged: name}}
	if len(f.tagsOf(id)) == 0 {
		delete(f.images, id)
		deleted = append(deleted, image.DeleteResponse{Deleted: id})
	}
	answer(w, http.StatusOK, deleted)
}

// find takes a name or an ID. The caller holds the lock.
func (f *Fake) find(name string) (fakeImage, bool) {
	if img, ok := f.images[name]; ok {
		return img, true
	}
	img, ok := f.images[f.tags[fullName(name)]]
	return img, ok
}

// tagsOf gives short names. The caller holds the lock.
func (f *Fake) tagsOf(id string) []string {
	tags := []string{}
	for tag, of := range f.tags {
		if of == id {
			tags = append(tags, reference.FamiliarString(must(reference.ParseNormalizedNamed(tag))))
		}
	}
	slices.Sort(tags)
	return tags
}

// fullName is "" for what is no name.
func fullName(ref string) string {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return ""
	}
	return reference.TagNameOnly(named).String()
}

// hijack takes the connection over, as BuildKit's endpoints do, and echoes.
func hijack(w http.ResponseWriter, r *http.Request) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn,
		"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: "+r.Header.Get(
			"Upgrade",
		)+"\r\n\r\n")
	_, _ = io.Copy(conn, buf)
}
