package main_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
)

// wireshark runs one of Wireshark's programs, which must have nothing to complain about.
func wireshark(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	said := strings.ReplaceAll(errs.String(), "Running as user \"root\" and group \"root\". This could be dangerous.\n", "")
	if err != nil || said != "" {
		t.Errorf("%q: %v %s", args, err, said)
	}
	return out.String()
}

// unpacked writes the captures of a snapshot's file to a folder.
func unpacked(t *testing.T, archive, dir string) (paths []string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return paths
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(h.Name, ".pcapng") {
			continue
		}
		text, err := io.ReadAll(r)
		if err == nil {
			paths = append(paths, filepath.Join(dir, filepath.Base(h.Name)))
			err = os.WriteFile(paths[len(paths)-1], text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestWrittenFiles: Wireshark's programs take every kind of file that is written: they complain
// about nothing, count what we count, show the pods' names, and editcap and mergecap make files
// of them that we read again.
func TestWrittenFiles(t *testing.T) {
	needsRoot(t)
	needs(t, "ssh", "scp", "capinfos", "tshark", "editcap", "mergecap")
	const prefix = "sshwrit"
	lab := openLab(t, prefix, twoHosts(69)...)
	state, dir := t.TempDir(), t.TempDir()
	c := startAlone(t, prefix, state)
	begun := time.Now()
	talk(t, lab, "10.77.69.2")
	await(t, "all that was said to be kept", func() bool {
		return strings.Count(c.ask("calls -o json --all http"), "\n") == 40
	})
	type written struct {
		name    string
		path    string
		classic bool // without names
	}
	var files []written
	for name, words := range map[string]string{
		"all": "pcap --all", "filter": "pcap --all dns", "count": "pcap --all -c 7", "snap": "pcap --all -s 60", "headers": "pcap --all --headers-only",
		"checksums": "pcap --all --fix-checksums", "both": "pcap --all -s 80 --headers-only --fix-checksums", "nothing": "pcap --all 'dst.port == 1'",
		"old": "pcap --all -o pcap 'dst.port == 8080'", "old, headers": "pcap --all -o pcap -s 64 dns", "last": "pcap --last 3 http", // the newest of all may be the kernel's own: IGMP, without names
	} {
		path := filepath.Join(dir, strings.ReplaceAll(name, ", ", "-"))
		c.exported(path, words)
		files = append(files, written{"export " + name, path, strings.Contains(words, "-o pcap")})
	}
	id := strings.Split(strings.SplitAfterN(c.ask("flows -o json --all http"), `"stream":"`, 2)[1], `"`)[0]
	const stamp = "20060102T150405Z"
	node, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/last/5m.pcapng", "/streams/" + id + ".pcapng", "/nodes/" + node + "/last/5m.pcapng",
		"/between/" + begun.Add(-time.Minute).UTC().Format(stamp) + "_" + time.Now().Add(time.Minute).UTC().Format(stamp) + ".pcapng"} {
		to := filepath.Join(dir, strings.ReplaceAll(path[1:], "/", "-"))
		if a := c.scp("REMOTE:"+path, to); a.status != 0 {
			t.Fatalf("%s: %+v", path, a)
		}
		files = append(files, written{path, to, false})
	}
	c.ask("snapshot create one --since 10m")
	if a := c.scp("REMOTE:/snapshots/one.tar.gz", filepath.Join(dir, "one.tar.gz")); a.status != 0 {
		t.Fatalf("%+v", a)
	}
	for _, path := range unpacked(t, filepath.Join(dir, "one.tar.gz"), dir) {
		files = append(files, written{"snapshot", path, false})
	}
	// What follows, as Wireshark's sshdump asks for it.
	follow := c.ssh("tcpdump", "-U", "-i", "any", "-w", "-", "'udp'")
	live := filepath.Join(dir, "followed")
	f, err := os.Create(live)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	follow.Stdout = f
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "the question to be asked", func() bool { return c.node().Queries == 1 })
	conn := dialSink(t, lab, "10.77.69.2:9")
	await(t, "packets to be followed", func() bool {
		conn.Write([]byte("followed"))
		n, _ := counted(live)
		return n != "" && n != "0"
	})
	follow.Process.Kill()
	follow.Wait() // it was killed
	files = append(files, written{"tcpdump -U -i any -w -", live, false})
	c.interrupt()
	for _, path := range segments(t, state) {
		files = append(files, written{"segment", path, false})
	}

	kinds := 0
	for _, w := range files {
		t.Run(w.name, func(t *testing.T) {
			ours, pods := 0, map[string]bool{}
			named, others := 0, map[string]int{}
			eachPacket(t, w.path, pcapng.ReaderOptions{}, func(p *pcap.Packet, _ *flow.Header) { ours++; pods[p.Iface.Pod.Name] = true })
			if n, ok := counted(w.path); !ok || n != strconv.Itoa(ours) {
				t.Errorf("capinfos counts %q, we %d", n, ours)
			}
			wireshark(t, "capinfos", w.path)
			shown := lines(wireshark(t, "tshark", "-r", w.path, "-N", "n", "-T", "fields", "-e", "ip.src_host", "-e", "ip.dst_host", "-e", "frame.interface_name", "-e", "_ws.malformed"))
			if len(shown) != ours {
				t.Errorf("tshark shows %d packets of %d", len(shown), ours)
			}
			if strings.Contains(strings.Join(shown, " "), "alformed") {
				t.Error("tshark finds malformed packets")
			}
			if !w.classic && ours > 0 {
				for pod := range pods {
					if pod != "" && !slices.ContainsFunc(shown, func(line string) bool {
						return strings.Contains(line, pod+":eth0") || strings.Contains(line, pod+":lo")
					}) {
						t.Errorf("no interface of pod %s is shown", pod)
					}
				}
				for _, line := range shown {
					for _, host := range strings.Split(line, "\t")[:2] { // "" of what is not IPv4
						if host != "" && !strings.HasPrefix(host, prefix+"-") {
							others[host]++
						} else if host != "" {
							named++
						}
					}
				}
				if named == 0 && len(others) > 0 {
					t.Errorf("no address has its pod's name, but %v", others)
				}
			}
			merged, edited := w.path+".merged", w.path+".edited"
			wireshark(t, "mergecap", "-w", merged, w.path, w.path)
			wireshark(t, "editcap", "-r", w.path, edited, "1-2")
			for path, want := range map[string]int{merged: 2 * ours, edited: min(2, ours)} {
				if n, ok := counted(path); !ok || n != strconv.Itoa(want) {
					t.Errorf("%s: capinfos counts %q of %d", filepath.Base(path), n, want)
				}
				a := run(t, exec.Command(program(t), "pcap", "--pcap", path, "-o", "pcapng"))
				again := path + ".again"
				if err := os.WriteFile(again, []byte(a.out), 0o600); err != nil {
					t.Fatal(err)
				}
				if n, _ := counted(again); a.status != 0 || n != strconv.Itoa(want) {
					t.Errorf("%s: we read %s packets of %d: %s", filepath.Base(path), n, want, a.errs)
				}
			}
		})
		kinds++
	}
	t.Logf("%d files", kinds)
}
