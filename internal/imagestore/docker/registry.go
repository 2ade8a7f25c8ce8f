package docker

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/failpoint"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/registry"
)

const (
	registryUser = "pinion"
	// headerWithin bounds the time that a client may take for a request's head.
	headerWithin = 10 * time.Second
	maxHeader    = 16 << 10
)

// oneImage is a registry on this machine for the time of one pull. It serves the part of the OCI
// distribution specification (v1.1, "pull") that reads one image by name. Every process of the
// machine can connect, so it requires a password, which is used for this pull alone. Layers are
// streamed from their source to the client. Ranges, which a client may request, are not offered.
type oneImage struct {
	image    imagestore.Source
	password string
	routes   *http.ServeMux
	server   *http.Server
	name     string // the image's: host:port/repository:tag
	// moved is called when the client makes progress.
	moved func()
	// fail is called with the error if a layer could not be read from its source.
	fail func(error)

	running sync.WaitGroup // handlers

	mu      sync.Mutex
	closed  bool
	bytes   int64
	onBytes func(int)
	served  map[digest.Digest]bool // layers, to their end
}

// serveOne starts to serve the image under ref with the registry's address for its host. ctx is
// that of the layers' sources.
func serveOne(
	ctx context.Context, image imagestore.Source, ref string, onBytes func(int), moved func(),
	fail func(error),
) (*oneImage, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp4", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return nil, err
	}
	named, err := reference.ParseNormalizedNamed(listener.Addr().String() + "/" + ref)
	if err != nil {
		_ = listener.Close()
		return nil, err
	}
	tagged, _ := reference.TagNameOnly(named).(reference.NamedTagged)
	o := &oneImage{
		image: image, name: tagged.String(), password: rand.Text(), routes: http.NewServeMux(),
		moved: moved, fail: fail, onBytes: onBytes, served: map[digest.Digest]bool{},
	}
	repository := "GET /v2/" + reference.Path(tagged)
	o.routes.HandleFunc("GET /v2/{$}", func(http.ResponseWriter, *http.Request) {})
	o.routes.HandleFunc(repository+"/manifests/"+tagged.Tag(),
		func(w http.ResponseWriter, _ *http.Request) {
			document(w, image.Root())
		})
	o.routes.HandleFunc(repository+"/manifests/{digest}", o.blob)
	o.routes.HandleFunc(repository+"/blobs/{digest}", o.blob)
	o.server = &http.Server{
		Handler: o, ReadHeaderTimeout: headerWithin, IdleTimeout: headerWithin,
		MaxHeaderBytes: maxHeader,
		BaseContext:    func(net.Listener) context.Context { return ctx },
		ErrorLog:       log.New(io.Discard, "", 0), // an engine tries TLS first, which is logged
	}
	o.running.Go(func() { _ = o.server.Serve(listener) }) // until close
	return o, nil
}

// close ends all connections and returns once no layer is being read.
func (o *oneImage) close() {
	o.refuse()
	_ = o.server.Close()
	o.running.Wait()
}

// refuse makes later requests fail.
func (o *oneImage) refuse() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
}

// login returns the credential that the engine shows.
func (o *oneImage) login() (registry.Login, error) {
	host, _, _ := strings.Cut(o.name, "/")
	return registry.PasswordLogin(host, registryUser, o.password)
}

// ServeHTTP implements http.Handler.
func (o *oneImage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		panic(http.ErrAbortHandler) // close ends the connection
	}
	o.running.Add(1)
	o.mu.Unlock()
	defer o.running.Done()
	_, password, _ := r.BasicAuth()
	if subtle.ConstantTimeCompare([]byte(password), []byte(o.password)) != 1 {
		w.Header().Set("WWW-Authenticate", `Basic realm="pinion"`)
		http.Error(w, "not authorised", http.StatusUnauthorized)
		return
	}
	o.moved()
	o.routes.ServeHTTP(w, r)
}

func (o *oneImage) blob(w http.ResponseWriter, r *http.Request) {
	d := digest.Digest(r.PathValue("digest"))
	for _, doc := range o.image.Documents() {
		if doc.Digest == d {
			document(w, doc)
			return
		}
	}
	for _, layer := range o.image.Parsed.Layers {
		if layer.Digest == d {
			o.layer(w, r, layer)
			return
		}
	}
	http.NotFound(w, r)
}

func describe(w http.ResponseWriter, mediaType string, d ocispec.Descriptor) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", strconv.FormatInt(d.Size, 10))
	w.Header().Set("Docker-Content-Digest", d.Digest.String())
}

func document(w http.ResponseWriter, d ocispec.Descriptor) {
	describe(w, d.MediaType, d)
	_, _ = io.Copy(w, bytes.NewReader(d.Data)) // a client that has gone asks again or does not
}

func (o *oneImage) layer(w http.ResponseWriter, r *http.Request, layer ocispec.Descriptor) {
	describe(w, "application/octet-stream", layer)
	if r.Method == http.MethodHead {
		return
	}
	blob, err := o.image.Open(r.Context(), layer)
	if err == nil {
		defer blob.Close()
		err = failpoint.At(r.Context(), failpoint.Loading, nil)
	}
	if err == nil {
		var sent bool
		if sent, err = o.send(w, blob, layer); sent {
			return
		}
	}
	if err != nil && r.Context().Err() == nil {
		o.refuse() // a client that asks again has the same layer read once more for nothing
		o.fail(fmt.Errorf("read layer %s: %w", layer.Digest, err))
	}
	panic(http.ErrAbortHandler) // the client must not take this for the end of the layer
}

// send reports whether it sent all of the layer. The error is the source's.
func (o *oneImage) send(w io.Writer, blob io.Reader, layer ocispec.Descriptor) (bool, error) {
	counted := &countingWriter{w: w, onBytes: o.count}
	_, err := io.Copy(counted, blob)
	switch {
	case counted.err != nil:
		return false, nil
	case err == nil && counted.n != layer.Size:
		return false, io.ErrUnexpectedEOF
	case err != nil:
		return false, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.served[layer.Digest] = true
	return true, nil
}

// count counts n bytes of a layer. Handlers call it concurrently; onBytes is called one at a time.
func (o *oneImage) count(n int) {
	o.moved()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes += int64(n)
	o.onBytes(n)
}
