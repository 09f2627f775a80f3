package main

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/sshark/sshark/sshd/snapshots"
)

var errSnapshotsMB = errors.New("--snapshots-mb: want a number of MB from 1 on")

func declareSnapshots(f *pflag.FlagSet, mb *int64) {
	f.Int64Var(mb, "snapshots-mb", snapshots.DefaultMaxBytes>>20, "how many `MB` snapshots may have, with what is being made, brought and read of them")
}

// snapshotsFree is how much of the disk snapshots leave to others.
const snapshotsFree = 256 << 20

// openSnapshots opens the snapshots of a console, in a folder of its data.
func openSnapshots(d *dialect, data string, mb int64, log *slog.Logger) (*snapshots.Library, error) {
	l, err := snapshots.Open(snapshots.Options{Dir: filepath.Join(data, "snapshots"), MaxBytes: mb << 20, MinFree: snapshotsFree,
		Program: "sshark " + versionText(), Protocols: d.protocols, Language: d.language, Log: log})
	if err != nil {
		return nil, fmt.Errorf("open the snapshots: %w", err)
	}
	return l, nil
}
