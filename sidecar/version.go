package main

import (
	"context"
	"flag"
	"fmt"
	"runtime/debug"
)

// version is set by -ldflags "-X main.version=…".
var version string

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
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return "devel-" + setting.Value[:min(12, len(setting.Value))]
		}
	}
	return "devel"
}

func runVersion(_ context.Context, i *invocation) int {
	if exit, ok := i.parse(flag.NewFlagSet("version", flag.ContinueOnError), 0); !ok {
		return exit
	}
	if _, err := fmt.Fprintln(i.stdout, "sidecar", versionName()); err != nil {
		return i.failed(err)
	}
	return exitFine
}
