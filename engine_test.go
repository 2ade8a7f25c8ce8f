package pinion

import (
	"errors"
	"path/filepath"
	"testing"
)

// TestDockerClient is found as the image store is, by the options and the environment, and is asked
// nothing.
func TestDockerClient(t *testing.T) {
	host := "unix://" + filepath.Join(t.TempDir(), "d.sock")
	o, err := New(WithDockerHost(host))
	if err != nil {
		t.Fatal(err)
	}
	api, err := o.DockerClient()
	if err != nil || api.DaemonHost() != host {
		t.Errorf("got %v, %v", api, err)
	}
	if again, _ := o.DockerClient(); again != api {
		t.Error("there are two")
	}
}

func TestDockerClientOfAStoreThatIsNoEngine(t *testing.T) {
	o, err := New(WithStore("oci:" + filepath.Join(t.TempDir(), "layout")))
	if err != nil {
		t.Fatal(err)
	}
	var typed *Error
	if _, err := o.DockerClient(); !errors.Is(err, ErrInvalidInput) || !errors.As(err, &typed) {
		t.Errorf("got %v", err)
	}
}
