package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/stdwebhooks"
)

// hookProof is a header with a signature, or with the secret itself.
type hookProof struct {
	header, prefix string
	// isToken reports whether it is the secret itself.
	isToken bool
	// isStandard reports whether it is a signature as Standard Webhooks says.
	isStandard bool
}

// maxSkew is the greatest difference between the clocks of a sender and of the server, the time
// that a delivery takes included.
const maxSkew = 5 * time.Minute

// proofOf returns the proof that a request carries, and false if it carries none.
func (f hookForge) proofOf(r *http.Request) (hookProof, bool) {
	for _, p := range f.proofs {
		if r.Header.Get(p.header) != "" {
			return p, true
		}
	}
	return hookProof{}, false
}

// isPossible reports whether a request can have the proof, before its body is read.
func (p hookProof) isPossible(r *http.Request, secret []byte) bool {
	switch {
	case p.isToken:
		return p.proves(r, secret, nil, nil)
	case p.isStandard:
		return standardKey(secret) != nil && isRecent(r) && len(p.signatures(r)) > 0
	default:
		return len(p.signatures(r)) > 0
	}
}

// proves reports whether a request proves that the sender has the secret, for its event or its
// body. It takes the same time for each wrong value.
func (p hookProof) proves(r *http.Request, secret []byte, event, body []byte) bool {
	var wanted []signature
	switch {
	case p.isToken:
		got, want := sha256.Sum256([]byte(r.Header.Get(p.header))), sha256.Sum256(secret)
		return subtle.ConstantTimeCompare(got[:], want[:]) == 1
	case p.isStandard:
		key := standardKey(secret)
		if key == nil || !isRecent(r) {
			return false
		}
		wanted = []signature{stdwebhooks.Sum(key, r.Header.Get(stdwebhooks.HeaderID),
			r.Header.Get(stdwebhooks.HeaderTimestamp), body)}
	default:
		wanted = []signature{sum(secret, event), sum(secret, body)}
	}
	for _, sent := range p.signatures(r) {
		for _, want := range wanted {
			if hmac.Equal(sent[:], want[:]) {
				return true
			}
		}
	}
	return false
}

// signatures reads the header.
func (p hookProof) signatures(r *http.Request) (list []signature) {
	values, prefix, decode := []string{r.Header.Get(p.header)}, p.prefix, hex.DecodeString
	if p.isStandard {
		values, prefix = strings.Fields(values[0]), stdwebhooks.SignaturePrefix
		decode = base64.StdEncoding.DecodeString
	}
	for _, value := range values {
		text, ok := strings.CutPrefix(value, prefix)
		if s, err := decode(text); ok && err == nil && len(s) == sha256.Size {
			list = append(list, signature(s))
		}
	}
	return list
}

// standardKey returns the key of a secret as Standard Webhooks says, nil if it is another one.
func standardKey(secret []byte) []byte {
	key, err := stdwebhooks.Key(string(secret))
	if err != nil || !strings.HasPrefix(string(secret), stdwebhooks.SecretPrefix) {
		return nil
	}
	return key
}

// isRecent reports whether a request has a time that is about now.
func isRecent(r *http.Request) bool {
	seconds, err := strconv.ParseInt(r.Header.Get(stdwebhooks.HeaderTimestamp), 10, 64)
	return err == nil && time.Since(time.Unix(seconds, 0)).Abs() <= maxSkew
}

// describe says what a proof has to be.
func (p hookProof) describe() string {
	switch {
	case p.isToken:
		return p.header + " must be the server's secret"
	case p.isStandard:
		return p.header + " must be of the last minutes and by the server's secret, which must " +
			"begin with " + stdwebhooks.SecretPrefix
	default:
		return p.header + " must be " + p.prefix + "the HMAC-SHA256 of the event under the " +
			"server's secret, in hex"
	}
}

// sum returns the HMAC-SHA256 of texts under a secret.
func sum(secret []byte, texts ...[]byte) (s signature) {
	mac := hmac.New(sha256.New, secret)
	for _, text := range texts {
		_, _ = mac.Write(text) // never fails
	}
	return signature(mac.Sum(s[:0]))
}
