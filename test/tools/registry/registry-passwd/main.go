// Command registry-passwd prints a line for a registry's htpasswd file: the user is its argument,
// the password its standard input.
package main

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/crypto/bcrypt"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "registry-passwd:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: registry-passwd USER < PASSWORD")
	}
	password, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	// The lowest cost: the registry checks it on every request, and the password guards nothing.
	hash, err := bcrypt.GenerateFromPassword(password, bcrypt.MinCost)
	if err != nil {
		return err
	}
	fmt.Printf("%s:%s\n", args[0], hash)
	return nil
}
