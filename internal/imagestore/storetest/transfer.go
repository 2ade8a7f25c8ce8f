package storetest

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"

	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/opencontainers/go-digest"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// loaded is what the fake keeps of an archive.
type loaded struct {
	id       string
	config   []byte
	tags     []string
	layers   []digest.Digest
	size     int64
	complete bool // the layers are there
}

// load answers 200 in any case, as engines do; failures are in the stream. A containerd store that
// gets no platform accepts an archive without its layer and only reports it in the stream.
func (f *Fake) load(w http.ResponseWriter, r *http.Request) {
	img, err := f.unpack(r.Body)
	w.Header().Set("Content-Type", "application/json")
	stream := json.NewEncoder(w)
	lenient := f.kind == imagestore.KindContainerd && !r.URL.Query().Has("platform")
	if err == nil && !img.complete && !lenient {
		err = errors.New("content digest: not found")
	}
	if err != nil {
		_ = stream.Encode(map[string]any{"errorDetail": map[string]string{"message": err.Error()},
			"error": err.Error()})
		return
	}
	f.add(img)
	_ = stream.Encode(map[string]string{"stream": fmt.Sprintf("Loaded image: %s\n",
		strings.Join(img.tags, ","))})
	if !img.complete {
		_ = stream.Encode(map[string]string{"stream": "Error unpacking image: content digest: " +
			"not found\n"})
	}
}

func (f *Fake) add(img loaded) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.images[img.id] = fakeImage{id: img.id, archive: img}
	for _, tag := range img.tags {
		f.tags[fullName(tag)] = img.id
	}
}

func (f *Fake) unpack(r io.Reader) (loaded, error) {
	files := map[string][]byte{}
	var img loaded
	for reader := tar.NewReader(r); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return img, err
		}
		if files[header.Name], err = io.ReadAll(reader); err != nil {
			return img, err
		}
		img.size += header.Size
	}
	err := f.read(files, &img)
	return img, err
}

func (f *Fake) read(files map[string][]byte, img *loaded) error {
	var entries []dockerEntry
	if err := json.Unmarshal(files["manifest.json"], &entries); err != nil || len(entries) != 1 {
		return fmt.Errorf("manifest.json with one image wanted, not %d: %w", len(entries), err)
	}
	img.config = files[entries[0].Config]
	img.tags = entries[0].RepoTags
	img.id = digest.FromBytes(img.config).String()
	if f.kind == imagestore.KindContainerd {
		var index struct{ Manifests []struct{ Digest string } }
		if err := json.Unmarshal(files["index.json"], &index); err != nil ||
			len(index.Manifests) != 1 {
			return fmt.Errorf("index.json with one image wanted, not %d: %w",
				len(index.Manifests), err)
		}
		img.id = index.Manifests[0].Digest
	}
	held := f.held()
	img.complete = true
	for _, file := range entries[0].Layers {
		d := digest.NewDigestFromEncoded(digest.SHA256, path.Base(file))
		img.layers = append(img.layers, d)
		_, sent := files[file]
		img.complete = img.complete && (sent || held[d])
	}
	return nil
}

// held are the layers of the images that are there.
func (f *Fake) held() map[digest.Digest]bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	held := map[digest.Digest]bool{}
	for _, img := range f.images {
		for _, d := range img.archive.layers {
			held[d] = img.archive.complete || held[d]
		}
	}
	return held
}

// Pull is the engine's own answer to POST /images/create, for a handler that does something before
// or after. Its errors have the texts of a real engine.
func (f *Fake) Pull(w http.ResponseWriter, r *http.Request) {
	name, tag := r.URL.Query().Get("fromImage"), r.URL.Query().Get("tag")
	f.mu.Lock()
	source, ok := f.published[fullName(name+":"+tag)]
	f.mu.Unlock()
	auth, err := authconfig.Decode(r.Header.Get("X-Registry-Auth"))
	switch {
	case err != nil:
		refuse(w, http.StatusBadRequest, err.Error())
		return
	case !ok && strings.HasPrefix(name, "127.0.0.1:"):
		f.fetch(w, r, auth, name, tag)
		return
	case !ok:
		refuse(w, http.StatusNotFound,
			fmt.Sprintf("manifest for %s:%s not found: manifest unknown: manifest unknown",
				name, tag))
		return
	case source.user != "" && auth.Username == "":
		refuse(w, http.StatusInternalServerError,
			fmt.Sprintf("Head \"https://%s/v2/manifests/%s\": no basic auth credentials",
				name, tag))
		return
	case auth.Username != source.user || auth.Password != source.password:
		// Some registries echo what they were sent.
		refuse(w, http.StatusInternalServerError,
			"unauthorized: incorrect username or password "+auth.Password)
		return
	}
	f.add(f.fetched(source.archive, name+":"+tag))
	w.Header().Set("Content-Type", "application/json")
	for _, line := range []string{
		`{"status":"Pulling from ` + name + `","id":"` + tag + `"}`,
		`{"status":"Downloading","progressDetail":{"current":1,"total":2},"id":"0123456789ab"}`,
		`{"status":"Downloading","progressDetail":{"current":2,"total":2},"id":"0123456789ab"}`,
		`{"status":"Pull complete","id":"0123456789ab"}`,
	} {
		_, _ = io.WriteString(w, line+"\r\n")
	}
}

func (f *Fake) fetched(a Archive, ref string) loaded {
	return loaded{id: a.ID(f.kind), config: a.Config, tags: []string{ref},
		layers: []digest.Digest{digest.FromBytes(a.Layer)}, size: int64(len(a.Tar)), complete: true}
}
