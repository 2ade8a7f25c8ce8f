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
	"net/url"
	"strings"
	"testing"
	"time"
)

func sign(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

// affects is a notify function after which every new push affects those templates.
func affects(names ...string) NotifyFunc {
	return func(_, _ string, since time.Time) ([]string, bool) {
		if !since.IsZero() {
			return nil, true
		}
		return names, true
	}
}

// TestGiteasWebhook: a delivery that the watcher acted on is passed on with its time.
func TestGiteasWebhook(t *testing.T) {
	secret := strings.Repeat("s", MinToken)
	var pushed, followed []string
	var settled bool
	notify := func(repository, ref string, since time.Time) ([]string, bool) {
		if settled && !since.IsZero() {
			return nil, true
		}
		pushed = append(pushed, repository+" "+ref)
		return followed, true
	}
	s := newStage(t, WithHook(secret, notify))
	body := `{"ref":"refs/heads/main","after":"ffff","repository":{"full_name":"acme/template"}}`
	good := map[string]string{"X-Gitea-Event": "push", "X-Gitea-Delivery": "d",
		"Content-Type": "application/json", "X-Gitea-Signature": sign(secret, body)}
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
	if got := send(nil); got != 202 || len(pushed) != 3 {
		t.Errorf("its third delivery, before the look-up succeeded: %d; got %v", got, pushed)
	}
	settled = true
	// The ID of a delivery is not signed.
	if got := send(map[string]string{"X-Gitea-Delivery": "another"}); got != 204 ||
		len(pushed) != 3 {
		t.Errorf("a replay: %d; got %v", got, pushed)
	}
	for i := range 3 * maxDeliveries {
		s.hook.remember(sha256.Sum256([]byte(fmt.Sprint(i))), time.Now())
	}
	if n := len(s.hook.seen); n != maxDeliveries {
		t.Errorf("%d deliveries are remembered", n)
	}
}

// TestWebhooksBody: the event as JSON or in a form. Gitea signs the event, other forges the body.
func TestWebhooksBody(t *testing.T) {
	secret := strings.Repeat("s", MinToken)
	s := newStage(t, WithHook(secret, affects("there")))
	push := func(n int) string {
		return fmt.Sprintf(`{"n":%d,"ref":"refs/heads/a+b&c","repository":{"full_name":"acme/t"}}`,
			n)
	}
	inForm := func(event string) string { return url.Values{"payload": {event}}.Encode() }
	event, form := push(0), inForm(push(0))
	for name, c := range map[string]struct {
		kind, body, signed string
		want               int
	}{
		"JSON":               {"application/json", event, event, 202},
		"JSON with charset":  {"application/json; charset=utf-8", push(1), push(1), 202},
		"form, event signed": {"application/x-www-form-urlencoded", inForm(push(2)), push(2), 202},
		"form, body signed": {"application/x-www-form-urlencoded", inForm(push(3)), inForm(push(3)),
			202},
		"form, wrong secret": {"application/x-www-form-urlencoded", form, "", 403},
		"form without event": {"application/x-www-form-urlencoded", "a=b", "a=b", 400},
		"form in JSON":       {"application/json", form, form, 400},
		"broken form":        {"application/x-www-form-urlencoded", "%", "%", 403},
		"text":               {"text/plain", event, event, 415},
		"none":               {"", event, event, 415},
		"unreadable":         {"application/json; x", event, event, 415},
	} {
		header := []string{"X-Gitea-Event", "push", "X-Gitea-Signature", sign(secret, c.signed),
			"Content-Type", c.kind}
		a := s.ask(t, http.MethodPost, "/v1/hooks/gitea", c.body, header...)
		if a.StatusCode != c.want {
			t.Errorf("%s: %d, not %d: %s", name, a.StatusCode, c.want, a.text)
		}
		if c.want == 415 && !strings.Contains(a.text, "choose application/json") {
			t.Errorf("%s: no remedy: %s", name, a.text)
		}
	}
}

func TestAWebhookOfAnUnknownRepositoryFails(t *testing.T) {
	secret := strings.Repeat("s", MinToken)
	s := newStage(t, WithHook(secret, func(string, string, time.Time) ([]string, bool) {
		return nil, false
	}))
	event := `{"ref":"refs/heads/main","repository":{"full_name":"acme/nonesuch"}}`
	a := s.ask(t, http.MethodPost, "/v1/hooks/gitea", event, "X-Gitea-Event", "push",
		"Content-Type", "application/json", "X-Gitea-Signature", sign(secret, event))
	if a.StatusCode != 404 || !strings.Contains(a.text, "acme/nonesuch") {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
}

// TestFault62_SlowWebhooks: a sender without the secret blocks no other sender.
func TestFault62_SlowWebhooks(t *testing.T) {
	secret := strings.Repeat("s", MinToken)
	s := newStage(t, WithHook(secret, affects("there")),
		withLimits(func(l *limits) { l.hooks, l.readers, l.readersEach = 1, 3, 2 }))
	slow := func(signature string) *bufio.Reader {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = fmt.Fprintf(c, "POST /v1/hooks/gitea HTTP/1.1\r\nHost: x\r\n"+
			"Content-Type: application/json\r\n"+
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
			"Content-Type", "application/json", "X-Gitea-Signature", sign(secret, body)).StatusCode
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
