package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func sign(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

func TestGiteasWebhook(t *testing.T) {
	secret := strings.Repeat("s", MinToken)
	var pushed []string
	s := newStage(t, WithHook(secret, func(repository, ref string) []string {
		pushed = append(pushed, repository+" "+ref)
		return []string{"there"}
	}))
	body := `{"ref":"refs/heads/main","after":"ffff","repository":{"full_name":"acme/template"}}`
	good := map[string]string{"X-Gitea-Event": "push", "X-Gitea-Delivery": "d1", "X-Gitea-Signature": sign(secret, body)}
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
		"no delivery":    {map[string]string{"X-Gitea-Delivery": ""}, 400},
		"huge delivery":  {map[string]string{"X-Gitea-Delivery": strings.Repeat("x", 100)}, 400},
		"another event":  {map[string]string{"X-Gitea-Event": "issues"}, 204},
		"a ping of ours": {map[string]string{"X-Gitea-Event": ""}, 204},
	} {
		if got := send(c.change); got != c.want {
			t.Errorf("%s: %d, not %d", name, got, c.want)
		}
	}
	if len(pushed) != 0 {
		t.Fatalf("believed %v", pushed)
	}
	if first, again := send(nil), send(nil); first != 202 || again != 204 {
		t.Errorf("a push is answered by %d, its replay by %d", first, again)
	}
	if len(pushed) != 1 || pushed[0] != "acme/template refs/heads/main" {
		t.Errorf("got %v", pushed)
	}
	for i := range 3 * keptDeliveries {
		s.hook.first(fmt.Sprint(i))
	}
	if n := len(s.hook.seen); n != keptDeliveries {
		t.Errorf("%d deliveries are remembered", n)
	}
}
