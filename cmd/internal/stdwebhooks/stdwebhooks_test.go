package stdwebhooks

import (
	"encoding/base64"
	"strings"
	"testing"
)

// TestSign has the example of the specification.
func TestSign(t *testing.T) {
	key, err := Key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	const want = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	if got := Encode(Sum(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330",
		[]byte(`{"test": 2432232314}`))); got != want {
		t.Errorf("%s, not %s", got, want)
	}
}

func TestKey(t *testing.T) {
	if key, err := Key("plain secret"); err != nil || string(key) != "plain secret" {
		t.Errorf("%s, %v", key, err)
	}
	if key, err := Key("whsec_" + base64.StdEncoding.EncodeToString([]byte("k"))); err != nil ||
		string(key) != "k" {
		t.Errorf("%s, %v", key, err)
	}
	if _, err := Key("whsec_!!"); err == nil || strings.Contains(err.Error(), "!!") {
		t.Error(err)
	}
}
