package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// store measures how long it takes to get one flow out of a large store. The store is filled
// as in life: frames are sent through a namespace, and `sshark up` captures them. Questions
// go over one SSH connection that stays open, by a client started for each.
func store(ctx context.Context, s *settings) (err error) {
	tcpdump, err := tool("tcpdump")
	if err != nil {
		return err
	}
	ssh, err := tool("ssh")
	if err != nil {
		return err
	}
	lab, err := openLab()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lab.Close()) }()
	hay := filepath.Join(s.dir, "haystack.pcap")
	wrote, err := generate(hay, 0, func(f *frames) error { return writeHaystack(f, int64(s.storeGB*1e9)) })
	if err != nil {
		return err
	}
	rec, err := startSshark(ctx, s, "--store-mb", fmt.Sprint(int(s.storeGB*1500)+1000))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rec.stop(), os.RemoveAll(rec.dir)) }()
	sender, _, err := role(ctx, lab, "a", []string{"replay", hay})
	if err != nil {
		return err
	}
	if err := sender.Wait(); err != nil {
		return fmt.Errorf("fill the store: %w", err)
	}
	if err := wait(ctx, settle); err != nil {
		return err
	}
	size, err := sizeOf(rec.dir)
	if err != nil {
		return err
	}
	fmt.Printf("one flow of %d calls; sshark: a store of %d MB; tcpdump: a file of %d MB\n", needleCalls, size/1e6, wrote.bytes/1e6)

	ask, closeConnection, err := openConnection(ctx, ssh, rec.up, filepath.Join(s.dir, "ssh"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeConnection()) }()

	t := newTable(column{"ms to the answer", "%.1f"}, column{"lines or KB", "%.0f"})
	sample := func(row, command string, figure func(cost) float64) error {
		c, err := ask(command)
		if err != nil {
			return err
		}
		if figure(c) == 0 {
			t.note("%s found nothing", row)
		}
		t.add(row, float64(c.wall.Microseconds())/1e3, figure(c))
		return nil
	}
	lines := func(c cost) float64 { return float64(c.lines) }
	kilobytes := func(c cost) float64 { return float64(c.bytes) / 1e3 }
	// One pair of quotes for the shell here, one for the console.
	filter := fmt.Sprintf(`"'dst.port == %d'"`, needlePort)
	for range max(s.rounds, min(5, 5*s.rounds-4)) {
		err := errors.Join(
			sample("sshark version (the way there)", "version", lines),
			sample("sshark flows", "flows --since 1h "+filter, lines),
			sample("sshark calls", "calls --since 1h "+filter, lines),
			sample("sshark pcap", "pcap --since 1h "+filter, kilobytes),
		)
		if err != nil {
			return err
		}
		c, err := measure(ctx, tcpdump, "-n", "-r", hay, "-w", "-", fmt.Sprintf("tcp port %d", needlePort))
		if err != nil {
			return err
		}
		t.add("tcpdump -r", float64(c.wall.Microseconds())/1e3, kilobytes(c))
	}
	t.ratio("sshark pcap", "tcpdump -r", "ms to the answer")
	t.note("both have the same packets; sshark is asked over SSH; tcpdump's file is in the page cache")
	t.print()
	return nil
}

// openConnection opens an SSH connection with the command that sshark printed, and returns
// how to run a console command over it.
func openConnection(ctx context.Context, ssh, printed, control string) (ask func(command string) (cost, error), end func() error, err error) {
	// The printed command is for a shell, and may quote.
	with := func(options, command string) []string {
		return []string{"-c", strings.Replace(printed, "ssh ", fmt.Sprintf("exec '%s' -T -o ControlPath='%s' %s ", ssh, control, options), 1) + " " + command}
	}
	var problem tail
	master := exec.CommandContext(ctx, "sh", with("-o ControlMaster=yes -N", "")...)
	master.Stderr = &problem
	if err := master.Start(); err != nil {
		return nil, nil, err
	}
	end = func() error { return stop(master) }
	for range 100 {
		if _, err = measure(ctx, "sh", with("-O check", "")...); err == nil {
			return func(command string) (cost, error) { return measure(ctx, "sh", with("", command)...) }, end, nil
		}
		if err := wait(ctx, 50*time.Millisecond); err != nil {
			return nil, nil, errors.Join(err, end())
		}
	}
	endErr := end() // and with it, standard error is complete
	return nil, nil, errors.Join(fmt.Errorf("no SSH connection: %w: %s", err, problem), endErr)
}

// sizeOf is the bytes of the files in a folder.
func sizeOf(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		} else if errors.Is(err, fs.ErrNotExist) {
			err = nil // a segment that was renamed meanwhile
		}
		return err
	})
	return n, err
}
