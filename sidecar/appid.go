package main

import (
	"regexp"
	"strings"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
)

const swapped = "are the two swapped?"

var (
	usualAppID = regexp.MustCompile(`^wx[A-Za-z0-9]{16}$`)
	// secretRun matches what can be an AppSecret in a file's name.
	secretRun = regexp.MustCompile(`[0-9A-Fa-f]{32,}`)
)

// notAppID returns what s is instead of an AppID, or the zero Hint. It does not quote s.
func notAppID(s string) hint.Hint {
	switch {
	case secretRun.MatchString(s): // perhaps with a character too many, or twice
		return hint.IsAppSecret
	case strings.HasPrefix(s, "gh_"):
		return hint.IsOriginalID
	case strings.HasPrefix(s, "ww"):
		return hint.IsCorpID
	case !memcache.ValidAppID(s):
		return hint.IsNoAppID
	}
	return hint.Hint{}
}

// unusualSecret returns what is unusual about an AppSecret, or "". WeChat's are 32
// hexadecimal digits. It does not quote s.
func unusualSecret(s string) string {
	const says = "the AppSecret is not 32 hexadecimal digits: "
	switch {
	case memcache.IsAppSecret(s):
		return ""
	case usualAppID.MatchString(s):
		return says + "it has the form of an AppID; " + swapped
	case strings.ContainsAny(s, `"'`+"`"):
		return says + "it has quotes"
	case strings.ContainsAny(s, "=:"):
		return says + "it begins with a name, as if a line of a file was pasted"
	}
	return says + "part of it is missing, or it has more"
}
