// Command hello is what the demo's template consists of. It says hello, and with --write FILE it
// does so into a file.
package main

import (
	"fmt"
	"os"
)

const greeting = "hello from a template that Pinion built\n"

func main() {
	if len(os.Args) == 3 && os.Args[1] == "--write" {
		if err := os.WriteFile(os.Args[2], []byte(greeting), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "hello:", err)
			os.Exit(1)
		}
		return
	}
	fmt.Print(greeting)
}
