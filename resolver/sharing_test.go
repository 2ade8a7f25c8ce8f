package resolver

import (
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// fakeTransport answers in process, so that a synctest bubble can see it wait.
type fakeTransport func(*http.Request) (*http.Response, error)

func (f fakeTransport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestFault33_SharedPerCredential(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		requests := map[string]int{} // by URL and credential
		release := make(chan struct{})
		transport := fakeTransport(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			requests[r.URL.Host+" "+r.Header.Get("Authorization")]++
			mu.Unlock()
			<-release
			return serveInProcess(r, r.Header.Get("Authorization") != "")
		})
		remote := mustRemote(t, "https://a.example/acme/tool")
		allowed := NewClient(Credentials{"a.example": {Token: "x"}}, WithHTTPTransport(transport))
		denied := NewClient(nil, WithHTTPTransport(transport))
		var callers sync.WaitGroup
		for range 10 {
			callers.Go(func() {
				if _, err := allowed.Head(t.Context(), remote, git.HEAD, Dialect{}); err != nil {
					t.Error(err)
				}
			})
			callers.Go(func() {
				if head, err := denied.Head(
					t.Context(), remote, git.HEAD, Dialect{},
				); !errors.Is(err, ErrUnauthorized) || head != (Head{}) {
					t.Errorf("without the credential: %v, %v", head, err)
				}
			})
		}
		synctest.Wait()
		mu.Lock()
		if len(requests) != 2 || requests["a.example "] != 1 ||
			requests["a.example Basic eC1hY2Nlc3MtdG9rZW46eA=="] != 1 {
			t.Errorf("requests %v", requests)
		}
		mu.Unlock()
		close(release)
		callers.Wait()
	})
	// The credential is a part of the key of a shared look-up.
	a, b := lookup{cred: Credential{Token: "a"}}, lookup{cred: Credential{Token: "b"}}
	if a == b {
		t.Error("two credentials share a look-up")
	}
}
