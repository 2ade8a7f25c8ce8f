package server

import (
	"bufio"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func sign(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

func TestGiteasWebhook(t *testing.T) {
	secret := strings.Repeat("s", MinToken)
	var pushed, followed []string
	s := newStage(t, WithHook(secret, func(repository, ref string) []string {
		pushed = append(pushed, repository+" "+ref)
		return followed
	}))
	body := `{"ref":"refs/heads/main","after":"ffff","repository":{"full_name":"acme/template"}}`
	good := map[string]string{"X-Gitea-Event": "push", "X-Gitea-Delivery": "d",
		"X-Gitea-Signature": sign(secret, body)}
	send := func(change map[string]string) int {
		var header []string
		for k, v := range good {
			if w, ok := change[k]; ok {
				v = w
			}
			header = append(header, k, v)
		}
		return s.ask(t, http.MethodPost, "/v1/hooks/gitea", body, header...).StatusCode
	}
	for name, c := range map[string]struct {
		change map[string]string
		want   int
	}{
		"unsigned":       {map[string]string{"X-Gitea-Signature": ""}, 403},
		"no hex":         {map[string]string{"X-Gitea-Signature": "x"}, 403},
		"wrong secret":   {map[string]string{"X-Gitea-Signature": sign("x", body)}, 403},
		"other body":     {map[string]string{"X-Gitea-Signature": sign(secret, body+" ")}, 403},
		"a short one":    {map[string]string{"X-Gitea-Signature": sign(secret, body)[:62]}, 403},
		"another event":  {map[string]string{"X-Gitea-Event": "issues"}, 204},
		"a ping of ours": {map[string]string{"X-Gitea-Event": ""}, 204},
	} {
		if got := send(c.change); got != c.want {
			t.Errorf("%s: %d, not %d", name, got, c.want)
		}
	}
	if len(pushed) != 0 {
		t.Fatalf("trusted %v", pushed)
	}
	if got := send(nil); got != 204 || len(pushed) != 1 ||
		pushed[0] != "acme/template refs/heads/main" {
		t.Errorf("a push without followed templates: %d; got %v", got, pushed)
	}
	followed = []string{"there"}
	if got := send(nil); got != 202 || len(pushed) != 2 {
		t.Errorf("its second delivery, with a followed template: %d; got %v",
			got, pushed)
	}
	// The ID of a delivery is not signed.
	if got := send(map[string]string{"X-Gitea-Delivery": "another"}); got != 204 ||
		len(pushed) != 2 {
		t.Errorf("a replay: %d; got %v", got, pushed)
	}
	for i := range 3 * maxDeliveries {
		s.hook.remember(sha256.Sum256([]byte(fmt.Sprint(i))))
	}
	if n := len(s.hook.seen); n != maxDeliveries {
		t.Errorf("%d deliveries are remembered", n)
	}
}

// TestFault62_SlowWebhooks: a sender without the secret blocks no other sender.
func TestFault62_SlowWebhooks(t *testing.T) {
	secret := strings.Repeat("s", MinToken)
	s := newStage(t, WithHook(secret, func(string, string) []string { return []string{"there"} }),
		withLimits(func(l *limits) { l.hooks, l.readers, l.readersEach = 1, 3, 2 }))
	slow := func(signature string) *bufio.Reader {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = fmt.Fprintf(c, "POST /v1/hooks/gitea HTTP/1.1\r\nHost: x\r\n"+
			"X-Gitea-Event: push\r\nX-Gitea-Signature: %s\r\n"+
			"Content-Length: 10\r\n\r\n{", signature)
		return bufio.NewReader(c)
	}
	reading := func() int {
		s.readers.mu.Lock()
		defer s.readers.mu.Unlock()
		return s.readers.total
	}
	for _, signature := range []string{"", "ff"} {
		if line, err := slow(signature).ReadString('\n'); err != nil ||
			!strings.HasPrefix(line, "HTTP/1.1 403") || reading() != 0 {
			t.Errorf("signed with %q: %q, %v", signature, line, err)
		}
	}
	push := func() int {
		body := fmt.Sprintf(`{"id":%q,"ref":"refs/heads/main","repository":{"full_name":"a/b"}}`,
			rand.Text())
		return s.ask(t, http.MethodPost, "/v1/hooks/gitea", body, "X-Gitea-Event", "push",
			"X-Gitea-Signature", sign(secret, body)).StatusCode
	}
	slow(strings.Repeat("f", 64))
	eventually(t, "a slow webhook", func() bool { return reading() == 1 })
	if got := push(); got != 202 || reading() != 1 {
		t.Errorf("beside a slow one a push is answered by %d, and %d bodies are read",
			got, reading())
	}
	slow(strings.Repeat("f", 64))
	eventually(t, "another slow webhook", func() bool { return reading() == 2 })
	if got := push(); got != 503 {
		t.Errorf("from an address at its limit: %d", got)
	}
	if !s.readers.take("192.0.2.1") || s.readers.take("192.0.2.2") {
		t.Error("other addresses do not get the rest")
	}
	s.readers.free("192.0.2.1")
}
