// Package compat holds that this version gives hits for what an earlier version built: keys, names,
// labels, records and the layout of both folders are the same.
//
// testdata has a cache folder and an OCI layout that commit 3595583 wrote with BuildKit 0.34.2: one
// commit of one template, built plainly and with a label and provenance. It was asked with
// PINION_CACHE=off and the config file
//
//	templates:
//	- name: own
//	  repo: http://git.pinion.test/template-own
//	  allow_insecure_http: true
//
// and the Dockerfile was "FROM scratch" and "COPY greeting /greeting". It is no built-in template:
// their recipes have got a build argument since, so they are built once more. A record carries the
// address of its image store, and its folder is named after that address. Both depend on where the
// layout is, so testdata has the word LAYOUT for the path and leaves the folder out; the test puts
// them in as that version did. The files are otherwise unchanged, but for the address of the
// builder.
//
// The files are never written anew: a change of keys, names, labels or records that they show needs
// a new recipe schema or a new record schema, and a directory beside this one.
package compat
