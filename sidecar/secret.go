package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/smallfile"
)

// secret is a string that formats as [redacted].
type secret string

const hidden = "[redacted]"

// Format hides the secret from every verb of fmt.
func (secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// LogValue hides the secret from slog.
func (secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalJSON hides the secret from encoding/json.
func (secret) MarshalJSON() ([]byte, error) { return json.Marshal(hidden) }

// maxSecret is the longest secret in bytes. An AppSecret has 32, a bearer token up to a thousand.
const maxSecret = memcache.MaxCredential

// cleanSecret trims white space and returns an error if the rest cannot be a secret.
// The error does not quote it.
func cleanSecret(text string) (string, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return "", errors.New("the secret is empty")
	case len(text) > maxSecret:
		return "", fmt.Errorf("the secret has more than %d bytes", maxSecret)
	}
	for i := range len(text) {
		if text[i] <= ' ' || text[i] >= 0x7f {
			return "", errors.New("the secret has a space, a control character or a character that is not ASCII")
		}
	}
	return text, nil
}

// readSecret reads a secret from a file. The error quotes neither the content nor the
// path: users sometimes put the secret where the path belongs.
func readSecret(path string) (string, error) {
	text, err := readText(path)
	if err != nil {
		return "", err
	}
	return cleanSecret(text)
}

// readText reads a file that has a secret, of at most twice maxSecret with the white space.
func readText(path string) (string, error) {
	content, _, err := smallfile.Read(path, 2*maxSecret)
	if err != nil {
		return "", fmt.Errorf("the file is unreadable: %w", err)
	}
	return string(content), smallfile.CheckText(content)
}
