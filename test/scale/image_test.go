package scale

import (
	"bytes"
	"io"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
)

// image is an archive with one small image, and its name.
type image struct {
	name string
	tar  []byte
}

func newImage(word string) image {
	name := "molecule-local/" + word + ":1"
	return image{name, storetest.Build(storetest.Spec{Tag: name, Content: word}).Tar}
}

func (i image) archive() io.Reader { return bytes.NewReader(i.tar) }
