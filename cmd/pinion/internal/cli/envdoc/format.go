package envdoc

import (
	"fmt"
	"strings"
)

// width is the number of columns that Text fills at most.
const width = 100

// Text returns the variables in two columns for a terminal, without a newline at the end.
func Text(vars []Variable) string {
	left := 0
	for _, v := range vars {
		for _, line := range names(v) {
			left = max(left, len(line))
		}
	}
	var lines []string
	for _, v := range vars {
		first := names(v)
		second := wrap(strings.ReplaceAll(v.Meaning+remark(v), "`", ""), width-left-4)
		for i := range max(len(first), len(second)) {
			line := fmt.Sprintf("  %-*s  %s", left, at(first, i), at(second, i))
			lines = append(lines, strings.TrimRight(line, " "))
		}
	}
	return strings.Join(lines, "\n")
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}

// names returns one line for each name of v.
func names(v Variable) []string {
	return strings.Split(strings.ReplaceAll(v.Name, ", ", ",\n"), "\n")
}

// remark returns the flag and the default in parentheses.
func remark(v Variable) string {
	var parts []string
	if v.Flag != "" {
		parts = append(parts, "flag "+v.Flag)
	}
	if v.Default != "" {
		parts = append(parts, "default: "+v.Default)
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, "; ") + ")"
}

// wrap breaks text into lines of at most columns, unless one word alone is longer.
func wrap(text string, columns int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > columns {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// Markdown returns the variables as a Markdown table.
func Markdown(vars []Variable) string {
	var b strings.Builder
	b.WriteString("| variable | flag | meaning | default |\n|---|---|---|---|\n")
	for _, v := range vars {
		name := "`" + strings.ReplaceAll(v.Name, ", ", "`, `") + "`"
		flag := ""
		if v.Flag != "" {
			flag = "`" + v.Flag + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", name, flag, v.Meaning, v.Default)
	}
	return strings.ReplaceAll(b.String(), "|  |", "| |")
}
