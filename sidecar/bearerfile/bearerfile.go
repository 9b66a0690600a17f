// Package bearerfile reads files with bearer tokens: one on a line, or two during a rotation.
package bearerfile

import (
	"errors"
	"fmt"
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
