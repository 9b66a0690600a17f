package main

import (
	"log/slog"
	"strings"

	"github.com/wxsidecar/wxsidecar/sidecar/mirror"
	"github.com/wxsidecar/wxsidecar/sidecar/web/listener"
)

// mirrors returns the configuration of the mirrors.
func (c config) mirrors(log *slog.Logger) mirror.Config {
	m := mirror.Config{File: c.MirrorFile, Table: c.MirrorTable, Log: log}
	if c.MirrorDSN != "" || c.MirrorDSNFile != "" {
		m.DSN = c.readDSN
	}
	return m
}

// readDSN returns the DSN of the MySQL mirror.
func (c config) readDSN() (string, error) {
	if c.MirrorDSNFile == "" {
		return cleanDSN(string(c.MirrorDSN))
	}
	text, err := readText(c.MirrorDSNFile)
	if err != nil {
		return "", err
	}
	return cleanDSN(text)
}

// cleanDSN trims white space and returns an error if the rest is not a DSN. The error
// does not quote it. Unlike an AppSecret, a DSN can have spaces in its password.
func cleanDSN(text string) (string, error) {
	text = strings.TrimSpace(text)
	return text, mirror.CheckDSN(text)
}

// warnOfMySQL warns of a password and tokens that cross a network without TLS.
func (c *config) warnOfMySQL(found *problems) {
	dsn, err := c.readDSN()
	if host := mirror.PlainHost(dsn); err == nil && host != "" && !listener.IsLoopback(host) {
		variable := "MIRROR_MYSQL_DSN"
		if c.MirrorDSNFile != "" {
			variable = "MIRROR_MYSQL_DSN_FILE"
		}
		found.add(variable, "the database is beyond loopback, and the DSN has no tls=: password and tokens cross the network in plain text",
			"add tls=true, or tls=false if the network is trusted")
	}
}

func (c *config) checkMirrors(found *problems) {
	const dsnHint = "write it like user:password@tcp(mysql:3306)/database?tls=true; tls may also be skip-verify or preferred"
	many := c.AccountsDir != "" || len(c.appIDs()) > 1
	if c.MirrorFile != "" {
		if err := mirror.CheckFile(c.MirrorFile, many); err != nil {
			found.add("MIRROR_FILE", err.Error(), "use a file in a folder that this user can write to, such as /shared/access_token.json; "+
				"with WECHAT_ACCOUNTS_DIR, such as /shared/{appid}.json")
		}
	}
	if c.MirrorDSN != "" && c.MirrorDSNFile != "" {
		found.add("MIRROR_MYSQL_DSN", "MIRROR_MYSQL_DSN_FILE is set too", "set one of the two; a file can be changed without a restart")
	} else if c.MirrorDSN != "" {
		if _, err := cleanDSN(string(c.MirrorDSN)); err != nil {
			found.add("MIRROR_MYSQL_DSN", err.Error(), dsnHint)
		}
	}
	if c.MirrorDSNFile != "" {
		if _, err := c.readDSN(); err != nil {
			found.add("MIRROR_MYSQL_DSN_FILE", err.Error(), "use a file with the DSN and nothing else; "+dsnHint)
		}
	}
	if c.MirrorDSN == "" && c.MirrorDSNFile == "" {
		if c.MirrorTable != mirror.DefaultTable {
			found.add("MIRROR_MYSQL_TABLE", "no database configured", "set MIRROR_MYSQL_DSN_FILE, or remove this variable")
		}
	} else if err := mirror.CheckTable(c.MirrorTable, many); err != nil {
		found.add("MIRROR_MYSQL_TABLE", err.Error(), "leave it unset for "+mirror.DefaultTable+"; with WECHAT_ACCOUNTS_DIR, use a name such as wx_token_{appid}")
	}
}
