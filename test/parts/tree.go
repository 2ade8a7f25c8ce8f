package parts

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// FileMode is a file's mode as git keeps it.
type FileMode string

// Modes of a File; the zero value means Regular.
const (
	Regular    FileMode = "100644"
	Executable FileMode = "100755"
	Symlink    FileMode = "120000" // Data is the target
	Gitlink    FileMode = "160000" // Data is the commit that a submodule is at
)

// File is one file of a commit. Path is relative, with slashes.
type File struct {
	Path string
	Data []byte
	Mode FileMode
}

// Text is a plain file.
func Text(path, body string) File { return File{Path: path, Data: []byte(body), Mode: Regular} }

// Program is an executable file.
func Program(path string, body []byte) File {
	return File{Path: path, Data: body, Mode: Executable}
}

// Link is a symbolic link.
func Link(path, target string) File { return File{Path: path, Data: []byte(target), Mode: Symlink} }

// Submodule is the entry of a submodule at a commit. The .gitmodules that belongs to it is a plain
// file.
func Submodule(path, commit string) File {
	return File{Path: path, Data: []byte(commit), Mode: Gitlink}
}

// Files turns paths and bodies into plain files, in the paths' order.
func Files(bodies map[string]string) []File {
	files := make([]File, 0, len(bodies))
	for path, body := range bodies {
		files = append(files, Text(path, body))
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files
}

// BusyboxTemplate is a template repo that needs no registry: a Dockerfile FROM scratch with the
// machine's static busybox as /bin/busybox, then the given lines. RUN works in its shell form:
// /bin/sh is there. A CMD in its shell form, on which BuildKit remarks, becomes the same in JSON.
func BusyboxTemplate(lines ...string) ([]File, error) {
	path, err := locateSystem("busybox")
	if err != nil {
		return nil, err
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read busybox: %w", err)
	}
	dockerfile := []string{
		"FROM scratch",
		"COPY busybox /bin/busybox",
		`RUN ["/bin/busybox", "ln", "-s", "busybox", "/bin/sh"]`,
	}
	for _, line := range lines {
		dockerfile = append(dockerfile, jsonForm(line))
	}
	return []File{Text("Dockerfile", strings.Join(dockerfile, "\n")+"\n"),
		Program("busybox", body)}, nil
}

// jsonForm returns a CMD in the JSON form, and other lines as they are.
func jsonForm(line string) string {
	command, ok := strings.CutPrefix(line, "CMD ")
	if !ok || strings.HasPrefix(command, "[") {
		return line
	}
	quoted, err := json.Marshal(command)
	if err != nil {
		panic(err) // strings always marshal
	}
	return `CMD ["/bin/sh", "-c", ` + string(quoted) + `]`
}
