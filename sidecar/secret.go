package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"github.com/wxsidecar/wxsidecar/memcache"
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

// readText reads a file that has a secret. It stops at twice maxSecret.
func readText(path string) (string, error) {
	file, err := os.Open(path) // #nosec G304 -- the operator names it
	if err != nil {
		return "", errors.New("the file is unreadable: " + withoutPath(err))
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, 2*maxSecret))
	if err != nil {
		return "", errors.New("the file is unreadable: " + withoutPath(err))
	}
	return string(content), nil
}

// withoutPath returns the text of a file error without the path.
func withoutPath(err error) string {
	var quoting *fs.PathError
	if errors.As(err, &quoting) {
		err = quoting.Err
	}
	return err.Error()
}
