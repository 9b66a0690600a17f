package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
)

// version and commit are set by -ldflags "-X main.version=… -X main.commit=…".
var version, commit string

// versionName is what this binary calls itself.
func versionName() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	if revision := revision(info); revision != "" {
		return "devel-" + revision[:min(12, len(revision))]
	}
	return "devel"
}

// commitName is the commit that this binary was built from, or "unknown".
func commitName() string {
	info, _ := debug.ReadBuildInfo()
	return cmp.Or(commit, revision(info), "unknown")
}

// revision returns the commit that the go command recorded, or "".
func revision(info *debug.BuildInfo) string {
	if info != nil {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				return setting.Value
			}
		}
	}
	return ""
}

func runVersion(_ context.Context, i *invocation) int {
	if exit, ok := i.parse(flag.NewFlagSet("version", flag.ContinueOnError), 0); !ok {
		return exit
	}
	if _, err := fmt.Fprintf(i.stdout, "sidecar %s (commit %s, %s)\n", versionName(), commitName(), runtime.Version()); err != nil {
		return i.failed(err)
	}
	return exitFine
}
