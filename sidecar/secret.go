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

// secret is a text that shows itself to nobody who prints it.
type secret string

const hidden = "[redacted]"

// Format hides the secret from every verb of fmt.
func (secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// LogValue hides the secret from slog.
func (secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalJSON hides the secret from encoding/json.
func (secret) MarshalJSON() ([]byte, error) { return json.Marshal(hidden) }

// maxSecret bounds a secret in bytes: WeChat's have 32, a bearer token may have a thousand.
const maxSecret = memcache.MaxCredential

// cleanSecret cuts white space at a secret's ends and refuses what cannot be one.
// Its error quotes nothing of it.
func cleanSecret(text string) (string, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return "", errors.New("is empty")
	case len(text) > maxSecret:
		return "", fmt.Errorf("has more than %d bytes", maxSecret)
	}
	for i := range len(text) {
		if text[i] <= ' ' || text[i] >= 0x7f {
			return "", errors.New("has a space, a control character or one that is not ASCII")
		}
	}
	return text, nil
}

// readSecret reads a secret from a file. Its error quotes neither the file's
// content nor its name: a secret often stands where its file should be named.
func readSecret(path string) (string, error) {
	text, err := readText(path)
	if err != nil {
		return "", err
	}
	return cleanSecret(text)
}

// readText reads a file that holds a secret, at most so much of it that too much is
// known to be.
func readText(path string) (string, error) {
	file, err := os.Open(path) // #nosec G304 -- the operator names it
	if err != nil {
		return "", errors.New("cannot be read: " + bare(err))
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, 2*maxSecret))
	if err != nil {
		return "", errors.New("cannot be read: " + bare(err))
	}
	return string(content), nil
}

// bare is an error of the file system without the path, which it quotes.
func bare(err error) string {
	var quoting *fs.PathError
	if errors.As(err, &quoting) {
		err = quoting.Err
	}
	return err.Error()
}
