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

// commands are all subcommands, in the order of the help.
var commands []command

func init() { // not a literal above: the functions refer to commands
	commands = []command{
		{"run", "run", "keep tokens valid until SIGTERM (the default)", runSidecar},
		{"demo", "demo [--for 30s]", "show everything in one process; nothing to install", runDemo},
		{"token", "token [--watch] [AppID]", "print the token that an app gets; --watch: its fingerprint, source and age every second", runToken},
		{"status", "status", "print a table of the credentials of this pod's sidecar; exit 0 if every account has a valid token, else 1", runStatus},
		{"check", "check [--json]", "check configuration, memcached, WeChat, each AppSecret, mirrors and the running sidecar; exit 1 if something fails", runCheck},
		{"quota", "quota [AppID] | quota clear [--yes] [AppID]", "print WeChat's own count of requests for tokens today; clear: reset WeChat's counts of an account, ten times a month", runQuota},
		{"healthcheck", "healthcheck", "exit 0 if this pod's sidecar is ready, else 1", runHealthcheck},
		{"version", "version", "print the version", runVersion},
	}
}

// invocation is one call of a subcommand.
type invocation struct {
	command        command
	args, environ  []string
	stdin          io.Reader
	stdout, stderr io.Writer
}

// parse parses the flags and at most maxArgs arguments. If ok is false, the subcommand
// ends with the exit code.
func (i *invocation) parse(flags *flag.FlagSet, maxArgs int) (exit int, ok bool) {
	flags.SetOutput(io.Discard)
	err := flags.Parse(i.args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		i.usage(i.stdout, flags)
		return exitFine, false
	case err != nil:
		return i.misused(flags, err.Error()), false
	case flags.NArg() > maxArgs:
		return i.misused(flags, "too many arguments"), false
	}
	return exitFine, true
}

// misused prints the usage. It returns the exit code.
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

// failed prints an error. It returns the exit code.
func (i *invocation) failed(err error) int {
	_, _ = fmt.Fprintf(i.stderr, "sidecar %s: %v\n", i.command.name, err)
	return exitFailed
}

// help prints the subcommands and the variables.
func help(w io.Writer) {
	var text strings.Builder
	text.WriteString("sidecar keeps WeChat access_tokens valid in memcached.\n\nCommands:\n")
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, c := range commands {
		_, _ = fmt.Fprintf(table, "  sidecar %s\t%s\n", c.usage, c.meaning)
	}
	_, _ = fmt.Fprintf(table, "  sidecar help\tprint this\n")
	_ = table.Flush() // in memory
	text.WriteString("\nVariables of sidecar run (defaults in brackets):\n")
	for _, v := range variables() {
		text.WriteString("  " + v.name)
		if v.defaultValue != "" {
			text.WriteString(" [" + v.defaultValue + "]")
		}
		text.WriteString("\n      " + v.meaning + "\n")
	}
	text.WriteString("\nsidecar token reads the variables of the Go client: WECHAT_APPID, MEMCACHED_*, SIDECAR_AUTH_TOKEN_FILE,\n" +
		"SIDECAR_CA_FILE and SIDECAR_URL [http://127.0.0.1:7200].\n" +
		"HTTPS_PROXY and NO_PROXY apply to requests to WeChat.\n" +
		"\nExit codes: 0 success, 1 failure, 2 wrong usage or configuration.\n")
	_, _ = io.WriteString(w, text.String())
}
