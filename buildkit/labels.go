package buildkit

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// replacedLabels returns a warning for each label that the Dockerfile gives the target and that the
// request gives another value. Labels of base images do not count: every image replaces some.
func replacedLabels(dockerfile []byte, req Request) (warnings []string) {
	ast, err := parser.Parse(bytes.NewReader(dockerfile))
	if err != nil {
		return nil // the frontend says what is wrong
	}
	stages, _, err := instructions.Parse(ast.AST, nil)
	if err != nil {
		return nil
	}
	seen := map[string]bool{}
	for i := stageIndex(stages, req.Target); i >= 0; {
		for _, cmd := range stages[i].Commands {
			label, ok := cmd.(*instructions.LabelCommand)
			if !ok {
				continue
			}
			for _, kv := range label.Labels {
				key := unquoted(kv.Key)
				value, replaced := req.Labels[key]
				if !replaced || value == unquoted(kv.Value) || seen[key] {
					continue
				}
				seen[key] = true
				place := ""
				if at := label.Location(); len(at) > 0 {
					place = fmt.Sprintf("%s:%d: ", req.filename(), at[0].Start.Line)
				}
				warnings = append(warnings,
					place+"the label "+key+" of the Dockerfile is replaced by that of the build")
			}
		}
		base, ok := instructions.HasStage(stages[:i], stages[i].BaseName)
		if !ok {
			break
		}
		i = base
	}
	return warnings
}

// stageIndex returns the index of the target's stage, -1 if there is none.
func stageIndex(stages []instructions.Stage, target string) int {
	if target == "" {
		return len(stages) - 1
	}
	if i, ok := instructions.HasStage(stages, target); ok {
		return i
	}
	if i, err := strconv.Atoi(target); err == nil && i >= 0 && i < len(stages) {
		return i
	}
	return -1
}

func unquoted(s string) string {
	for _, quote := range []string{`"`, `'`} {
		if inner, ok := strings.CutPrefix(s, quote); ok && strings.HasSuffix(inner, quote) {
			return strings.TrimSuffix(inner, quote)
		}
	}
	return s
}
