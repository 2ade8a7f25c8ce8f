// Package stdwebhooks signs webhooks as Standard Webhooks says
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md), for
// those that are sent and those that are received.
//
// It guarantees that no error has a part of a secret. It contacts nothing.
package stdwebhooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// The headers of a webhook.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp" // seconds since 1970, of the first attempt
	// HeaderSignature has one or several signatures between spaces, see [Encode].
	HeaderSignature = "Webhook-Signature"
)

// SecretPrefix marks a secret whose key follows in base64.
const SecretPrefix = "whsec_"

// SignaturePrefix marks a signature in base64.
const SignaturePrefix = "v1,"

// Key returns the key that a secret stands for: with SecretPrefix, what follows in base64,
// otherwise the secret itself.
func Key(secret string) ([]byte, error) {
	text, ok := strings.CutPrefix(secret, SecretPrefix)
	if !ok {
		return []byte(secret), nil
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) == 0 {
		return nil, errors.New("after " + SecretPrefix + " there must be base64")
	}
	return key, nil
}

// Sum returns the HMAC-SHA256 of a webhook with the values of its headers.
func Sum(key []byte, id, timestamp string, body []byte) (sum [sha256.Size]byte) {
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body) // never fails
	return [sha256.Size]byte(mac.Sum(sum[:0]))
}

// Encode returns a sum as HeaderSignature has it.
func Encode(sum [sha256.Size]byte) string {
	return SignaturePrefix + base64.StdEncoding.EncodeToString(sum[:])
}
