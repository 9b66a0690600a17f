package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// command is a subcommand.
type command struct {
	name, usage, meaning string
	run                  func(context.Context, *invocation) int
}

// commands is every subcommand, in the order of the help.
var commands []command

func init() { // not above: help, which runs through them, is among what they call
	commands = []command{
		{"run", "run", "keep the tokens until SIGTERM (the default)", runServe},
		{"demo", "demo [--for 30s]", "everything in one process, nothing to install: watch it work", runDemo},
		{"token", "token [--watch] [AppID]", "print the token that an app would get; --watch: its fingerprint, source and age every second", runToken},
		{"status", "status", "a table of what the sidecar of this pod keeps; exit 0 when every account has a valid token, 1 when not", runStatus},
		{"healthcheck", "healthcheck", "exit 0 when the sidecar of this pod is ready, 1 when not", runHealthcheck},
		{"version", "version", "print the version", runVersion},
	}
}

// invocation is one call of a subcommand.
type invocation struct {
	command        command
	args, environ  []string
	stdout, stderr io.Writer
}

// parse reads the flags and at most so many arguments. Where it reports false
// the subcommand ends with the exit code.
func (i *invocation) parse(flags *flag.FlagSet, most int) (exit int, ok bool) {
	flags.SetOutput(io.Discard)
	err := flags.Parse(i.args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		i.usage(i.stdout, flags)
		return exitFine, false
	case err != nil:
		return i.misused(flags, err.Error()), false
	case flags.NArg() > most:
		return i.misused(flags, "too many arguments"), false
	}
	return exitFine, true
}

func (i *invocation) misused(flags *flag.FlagSet, what string) int {
	_, _ = fmt.Fprintf(i.stderr, "sidecar %s: %s\n", i.command.name, what)
	i.usage(i.stderr, flags)
	return exitBadUsage
}

func (i *invocation) usage(w io.Writer, flags *flag.FlagSet) {
	_, _ = fmt.Fprintf(w, "usage: sidecar %s\n  %s\n", i.command.usage, i.command.meaning)
	flags.SetOutput(w)
	flags.PrintDefaults()
}

// failed tells why a subcommand ends with 1.
func (i *invocation) failed(err error) int {
	_, _ = fmt.Fprintf(i.stderr, "sidecar %s: %v\n", i.command.name, err)
	return exitFailed
}

// help lists the subcommands and the variables.
func help(w io.Writer) {
	var text strings.Builder
	text.WriteString("sidecar keeps WeChat's access_tokens in memcached.\n\nCommands:\n")
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, c := range commands {
		_, _ = fmt.Fprintf(table, "  sidecar %s\t%s\n", c.usage, c.meaning)
	}
	_, _ = fmt.Fprintf(table, "  sidecar help\tprint this\n")
	_ = table.Flush() // into memory
	text.WriteString("\nVariables of sidecar run (in brackets the default):\n")
	for _, v := range variables() {
		text.WriteString("  " + v.name)
		if v.defaultValue != "" {
			text.WriteString(" [" + v.defaultValue + "]")
		}
		text.WriteString("\n      " + v.meaning + "\n")
	}
	text.WriteString("\nsidecar token reads what an app's client reads: WECHAT_APPID, MEMCACHED_SERVERS, MEMCACHED_HASH,\n" +
		"MEMCACHED_KEY_PREFIX, MEMCACHED_TIMEOUT, SIDECAR_AUTH_TOKEN_FILE, and SIDECAR_URL [http://127.0.0.1:7200].\n" +
		"HTTPS_PROXY and NO_PROXY are honoured towards WeChat.\n" +
		"\nExit codes: 0 fine, 1 failed, 2 bad usage or configuration.\n")
	_, _ = io.WriteString(w, text.String())
}
