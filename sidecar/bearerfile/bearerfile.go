// Package bearerfile reads files with bearer tokens: one on a line, or two during a rotation.
package bearerfile

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/wxsidecar/wxsidecar/sidecar/smallfile"
)

const (
	shortest = 16 // bytes; openssl rand -hex 32 makes 64
	longest  = 2048
	// example begins the text in k8s/secret.example.yaml, which everybody knows.
	example = "replace-me"
)

// Read returns the one or two tokens in a file. Its errors quote neither content nor path.
func Read(path string) ([]string, smallfile.Version, error) {
	text, version, err := smallfile.ReadVersion(path, 2*longest+64) // with white space
	if err != nil {
		return nil, version, fmt.Errorf("the file is unreadable: %w", err)
	}
	if err := smallfile.CheckText(text); err != nil {
		return nil, version, err
	}
	var tokens []string
	for line := range strings.Lines(string(text)) {
		token := strings.TrimSpace(line)
		if token == "" {
			continue
		}
		if err := check(token); err != nil {
			return nil, version, err
		}
		tokens = append(tokens, token)
	}
	switch len(tokens) {
	case 0:
		return nil, version, errors.New("the file is empty")
	case 1, 2:
		return tokens, version, nil
	}
	return nil, version, errors.New("the file has more than two lines")
}

// Open reads a file of this variable, and reads it again when it changes. Its content is what
// of returns for each token. The log gets no token, and no error quotes one.
func Open[T comparable](path, variable string, log *slog.Logger, of func(token string) T) (*smallfile.Reread[[]T], error) {
	load := func() ([]T, []smallfile.Version, error) {
		tokens, version, err := Read(path)
		content := make([]T, len(tokens))
		for i, token := range tokens {
			content[i] = of(token)
		}
		return content, []smallfile.Version{version}, err
	}
	r, err := smallfile.NewReread(load, slices.Equal, func(tokens []T, err error) {
		if err != nil {
			log.Error("bearer token unreadable, the last one stays valid", "file", path, "error", err.Error(),
				"hint", "check "+variable+" and the Secret behind it")
			return
		}
		log.Info("bearer token read again", "tokens", len(tokens))
	})
	if err != nil {
		return nil, fmt.Errorf("bearer token: %s: %w", path, err)
	}
	return r, nil
}

func check(token string) error {
	switch {
	case len(token) < shortest:
		return fmt.Errorf("a token has fewer than %d bytes", shortest)
	case len(token) > longest:
		return fmt.Errorf("a token has more than %d bytes", longest)
	case strings.HasPrefix(token, example):
		return errors.New("the token is the text of the example")
	case strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c >= 0x7f }):
		return errors.New("a token has a space, a control character or a character that is not ASCII")
	}
	return nil
}
