package main

import (
	"fmt"
	"io"
	"runtime/debug"
)

type versionCmd struct{}

// Help tells more than one line.
func (versionCmd) Help() string {
	return "The same binary always prints the same. Manifests and invoices record it as the software that computed them."
}

// Run prints the version.
func (versionCmd) Run(a *app) error {
	v := version()
	rows := newTable("Version")
	rows.add(v)
	return a.show(view{
		json: struct {
			Version string `json:"version"`
		}{v},
		rows: rows,
		text: func(w io.Writer) { fmt.Fprintln(w, "calends", v) },
	})
}

// version names the build: the module's version, else the commit, else "devel".
func version() string {
	const unknown = "devel"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return unknown
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	var revision, modified string
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				modified = "+dirty"
			}
		}
	}
	if revision == "" {
		return unknown
	}
	return revision[:min(12, len(revision))] + modified
}
