package buildx

import "strings"

// BakeFile is a definition that `docker buildx bake` reads
// (https://docs.docker.com/build/bake/reference/).
type BakeFile struct {
	// Group maps the name of a group to its targets. "default" is what bake builds if no name is
	// given.
	Group  map[string]BakeGroup  `json:"group"`
	Target map[string]BakeTarget `json:"target"`
}

// BakeGroup names targets.
type BakeGroup struct {
	Targets []string `json:"targets"`
}

// BakeTarget is one image. Bake reads expressions in its strings; [BakeLiteral] escapes them.
type BakeTarget struct {
	Context    string            `json:"context"`
	Dockerfile string            `json:"dockerfile"`
	Target     string            `json:"target,omitempty"`
	Args       map[string]string `json:"args,omitempty"`
	Platforms  []string          `json:"platforms"`
	Tags       []string          `json:"tags"`
	Labels     map[string]string `json:"labels"`
	Attest     []string          `json:"attest"`
	Output     []string          `json:"output"`
}

// BakeName returns a target's name for a template's name, with "__" for each dot, which bake allows
// in no target's name. A template's name has no two separators in a row, so different templates get
// different targets.
func BakeName(template string) string { return strings.ReplaceAll(template, ".", "__") }

// BakeLiteral escapes s so that bake reads no part of it as an expression of HCL.
func BakeLiteral(s string) string {
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(s)
}
