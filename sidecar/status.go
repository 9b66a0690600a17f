package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
)

// maxStatus is the longest /status.json. 10,000 accounts make 6 MB.
const maxStatus = 64 << 20

// runStatus prints /status.json of the sidecar with the same variables.
func runStatus(ctx context.Context, i *invocation) int {
	ops, exit, ok := i.ops("status")
	if !ok {
		return exit
	}
	s, err := ops.status(ctx)
	if err != nil {
		return i.failed(err)
	}
	if err := printStatus(i.stdout, s); err != nil {
		return i.failed(err)
	}
	if !s.Ready {
		return exitFailed
	}
	return exitFine
}

// status requests /status.json.
func (o opsListener) status(ctx context.Context) (s status.Sidecar, err error) {
	code, body, err := o.get(ctx, "/status.json", maxStatus)
	switch {
	case err != nil:
		return s, err
	case code != http.StatusOK || json.Unmarshal(body, &s) != nil:
		return s, errors.New("the answer is not a status; check that SIDECAR_OPS_LISTEN is the address of a sidecar")
	}
	return s, nil
}

// printStatus prints a table for a terminal, failing credentials first.
func printStatus(w io.Writer, s status.Sidecar) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s, version %s, up %s\n", status.Printable(cmp.Or(s.Name, "sidecar")), status.Printable(s.Version), status.Span(s.Now.Sub(s.Started)))
	servers := status.Printable(strings.Join(s.Memcached.Servers, ", "))
	switch m := s.Memcached; {
	case m.Off():
		text.WriteString("memcached is off: tokens are in this process alone\n\n")
	case m.Up:
		fmt.Fprintf(&text, "memcached answers (%s)\n\n", servers)
	default:
		fmt.Fprintf(&text, "memcached has failed for %s (%s)\n  %s\n  %s\n\n",
			status.Span(s.Now.Sub(m.DownSince)), servers, status.Printable(m.Error), status.Printable(m.Hint.English))
	}
	for _, m := range s.Mirrors {
		if !m.Up {
			fmt.Fprintf(&text, "mirror %s has failed for %s\n  %s\n  %s\n\n",
				status.Printable(m.Name), status.Span(s.Now.Sub(m.DownSince)), status.Printable(m.Error), status.Printable(m.Hint.English))
		}
	}
	for _, n := range s.Notes {
		fmt.Fprintf(&text, "note: %s\n  %s\n\n", status.Printable(n.Text.English), status.Printable(n.Hint.English))
	}
	if len(s.Credentials) == 0 {
		text.WriteString("no accounts configured: set WECHAT_APPID, or put files into WECHAT_ACCOUNTS_DIR\n")
		_, err := io.WriteString(w, text.String())
		return err
	}
	slices.SortStableFunc(s.Credentials, func(a, b status.Credential) int { return a.State.Compare(b.State) })
	var table strings.Builder
	columns := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(columns, "STATE\tAPPID\tKIND\tTOKEN\tAGE\tLEFT\tNEXT RENEWAL\tRENEWED BY\tTODAY")
	for _, c := range s.Credentials {
		_, _ = fmt.Fprintln(columns, strings.Join(rowOf(c), "\t"))
	}
	_ = columns.Flush() // in memory
	for n, line := range slices.Collect(strings.Lines(table.String())) {
		text.WriteString(line)
		if n == 0 {
			continue
		}
		if q := s.Credentials[n-1].Quota; q != nil {
			fmt.Fprintf(&text, "  WeChat's count: %s\n", quotaOf(q, s.Now))
		}
		e := s.Credentials[n-1].Error
		if e == nil {
			continue
		}
		fmt.Fprintf(&text, "  errcode %d: %s\n", e.Code, status.Printable(e.Message))
		if e.Hint.English != "" {
			fmt.Fprintf(&text, "  %s\n", status.Printable(e.Hint.English))
		}
		again := "now"
		if e.RetryInSeconds > 0 {
			again = "in " + inSeconds(e.RetryInSeconds)
		}
		fmt.Fprintf(&text, "  failing for %s, last attempt %s ago, next attempt %s\n",
			status.Span(s.Now.Sub(e.Since)), status.Span(s.Now.Sub(e.At)), again)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// rowOf returns the cells of a credential.
func rowOf(c status.Credential) []string {
	token, age, left, due, by := "-", "-", "-", "-", "-"
	if c.Valid {
		token, age, left = c.Fingerprint, inSeconds(c.AgeSeconds), inSeconds(c.ExpiresInSeconds)
		by = cmp.Or(c.RenewedBy, by)
		due = "in " + inSeconds(c.RenewalInSeconds)
		if c.RenewalInSeconds < 0 {
			due = "overdue by " + inSeconds(c.RenewalInSeconds)
		}
	}
	today := fmt.Sprintf("%d renewed, %d failed", c.Today.Renewals, c.Today.Failures)
	row := []string{string(c.State), c.AppID, c.Kind, token, age, left, due, by, today}
	for i := range row {
		row[i] = status.Printable(row[i])
	}
	return row
}

func inSeconds(n int) string { return status.Span(time.Duration(n) * time.Second) }
