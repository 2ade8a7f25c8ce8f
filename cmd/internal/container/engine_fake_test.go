package container_test

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
)

// fakeEngine has one container, which prints its input in capitals, prints "bye" on stderr and ends
// with code 7, or waits for a signal.
type fakeEngine struct {
	// refuse maps requests ("POST /containers/create") to the status of their error.
	refuse map[string]int
	// patient makes the container wait for a signal and end with code 143.
	patient bool

	mu       sync.Mutex
	requests []string
	created  struct {
		Image      string
		Cmd, Env   []string
		Tty        bool
		HostConfig struct{ AutoRemove bool }
	}
	ended  chan int
	killed chan string
}

func startFake(t *testing.T, f *fakeEngine) *client.Client {
	t.Helper()
	f.ended, f.killed = make(chan int, 1), make(chan string, 1)
	server := httptest.NewServer(f)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	api, err := client.New(client.WithHost("tcp://" + strings.TrimPrefix(server.URL, "http://")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { api.Close() })
	return api
}

var versioned = regexp.MustCompile(`^/v[0-9.]+`)

func (f *fakeEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	route := r.Method + " " + versioned.ReplaceAllString(r.URL.Path, "")
	f.mu.Lock()
	f.requests = append(f.requests, route)
	f.mu.Unlock()
	if code := f.refuse[route]; code != 0 {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, `{"message":"refused"}`)
		return
	}
	switch route {
	case "GET /_ping", "HEAD /_ping":
		w.Header().Set("Api-Version", "1.52")
	case "POST /containers/create":
		_ = json.NewDecoder(r.Body).Decode(&f.created)
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"Id":"c1","Warnings":["mind the gap"]}`)
	case "POST /containers/c1/attach":
		f.attach(w)
	case "POST /containers/c1/wait":
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		_ = json.NewEncoder(w).Encode(map[string]int{"StatusCode": <-f.ended})
	case "POST /containers/c1/kill":
		f.killed <- r.URL.Query().Get("signal")
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

func (f *fakeEngine) attach(w http.ResponseWriter) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn,
		"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: "+
			"application/vnd.docker.raw-stream\r\n\r\n")
	if f.patient {
		<-f.killed
		f.ended <- 143
		return
	}
	in, _ := io.ReadAll(buf)
	_, _ = conn.Write(append(frame(stdcopy.Stdout, strings.ToUpper(string(in))),
		frame(stdcopy.Stderr, "bye")...))
	f.ended <- 7
}

// frame encodes output as the engine does without a terminal: the stream's number, three zeros, the
// length, the text.
func frame(stream stdcopy.StdType, text string) []byte {
	head := binary.BigEndian.AppendUint32([]byte{byte(stream), 0, 0, 0}, uint32(len(text)))
	return append(head, text...)
}

func (f *fakeEngine) count(route string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.requests {
		if r == route {
			n++
		}
	}
	return n
}
