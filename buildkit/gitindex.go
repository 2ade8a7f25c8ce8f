package buildkit

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	gateway "github.com/moby/buildkit/frontend/gateway/client"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

const (
	// maxIndex bounds git's index of a commit. An entry takes some 100 bytes.
	maxIndex = 64 << 20
	// indexPart is how much of it is read at a time, below the limit of a message.
	indexPart = 1 << 20
)

// readIndex reads the index of a checkout that has its .git.
func readIndex(ctx context.Context, tree files) ([]byte, error) {
	var index []byte
	for {
		part, err := tree.ReadFile(ctx, gateway.ReadRequest{Filename: ".git/index",
			Range: &gateway.FileRange{Offset: len(index), Length: indexPart}})
		if err != nil {
			return nil, err
		}
		index = append(index, part...)
		if len(index) > maxIndex {
			return nil, refuse("the commit has too many files to look for submodules: git's "+
				"index has more than %d bytes", maxIndex)
		}
		if len(part) < indexPart {
			return index, nil
		}
	}
}

var errIndex = errors.New("git's index cannot be read")

// gitlinks returns the commits of the submodules in git's index, by their paths. It reads versions
// 2 and 3 (gitformat-index(5)), which git writes unless its configuration says otherwise.
func gitlinks(index []byte, format git.ObjectFormat) (map[string]git.Revision, error) {
	const (
		header    = 12
		modeAt    = 24 // behind times, device and inode
		idAt      = 40
		flagsSize = 2
		isLink    = 0o160000
		typeBits  = 0o170000
		extended  = 0x4000
		align     = 8
	)
	idSize := hex.DecodedLen(format.Digits())
	if len(index) < header || string(index[:4]) != "DIRC" {
		return nil, errIndex
	}
	version, count := binary.BigEndian.Uint32(index[4:]), binary.BigEndian.Uint32(index[8:])
	if version != 2 && version != 3 {
		return nil, fmt.Errorf("%w: it has version %d", errIndex, version)
	}
	links := map[string]git.Revision{}
	for rest := index[header:]; count > 0; count-- {
		nameAt := idAt + idSize + flagsSize
		if len(rest) < nameAt {
			return nil, errIndex
		}
		if binary.BigEndian.Uint16(rest[nameAt-flagsSize:])&extended != 0 {
			nameAt += flagsSize
		}
		length := bytes.IndexByte(rest[min(nameAt, len(rest)):], 0)
		end := (nameAt + length + align) / align * align // with at least one NUL
		if length < 0 || end > len(rest) {
			return nil, errIndex
		}
		if binary.BigEndian.Uint32(rest[modeAt:])&typeBits == isLink {
			rev, err := git.ParseRevision(hex.EncodeToString(rest[idAt : idAt+idSize]))
			if err != nil {
				return nil, errors.Join(errIndex, err)
			}
			links[string(rest[nameAt:nameAt+length])] = rev
		}
		rest = rest[end:]
	}
	return links, nil
}
