package docker_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
)

// Under these names the test program stands in for programs that Docker's
// libraries start: the ssh client and a credential helper.
const (
	sshProgram    = "ssh"
	helperProgram = "docker-credential-pinion-test"
)

// The variables that control the stand-ins.
const (
	sshSocketVar  = "PINION_TEST_SSH_SOCKET"  // where `docker system dial-stdio` would lead
	helperUserVar = "PINION_TEST_HELPER_USER" // "" makes the helper fail
)

func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case sshProgram:
		os.Exit(standInSSH())
	case helperProgram:
		os.Exit(standInHelper())
	}
	os.Exit(m.Run())
}

func standInSSH() int {
	conn, err := net.Dial("unix", os.Getenv(sshSocketVar))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	go func() { _, _ = io.Copy(conn, os.Stdin) }()
	_, _ = io.Copy(os.Stdout, conn)
	return 0
}

// standInHelper answers `get` as docker-credential-helpers' protocol says.
func standInHelper() int {
	host, _ := io.ReadAll(os.Stdin)
	user := os.Getenv(helperUserVar)
	if user == "" {
		fmt.Println("the keychain is locked")
		return 1
	}
	fmt.Printf(`{"ServerURL":%q,"Username":%q,"Secret":"from-helper"}`, host, user)
	return 0
}

// standIns puts the stand-ins on the PATH.
func standIns(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{sshProgram, helperProgram} {
		if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
}
