package main_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// capturesDir names a folder of captures that others made. They are no part of this project, and
// nothing in it knows what is in them.
const capturesDir = "CAPTURES"

// TestCaptures: of every file that capinfos reads, `pcap` writes as many packets as it counts, and
// tshark sees the same bytes at the same times in them, in pcapng, and in classic pcap where the
// file has one link type only.
func TestCaptures(t *testing.T) {
	dir := os.Getenv(capturesDir)
	if dir == "" {
		t.Skipf("needs a folder of captures: %s=DIR", capturesDir)
	}
	needs(t, "capinfos", "tshark")
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	compared, mixed := 0, 0
	for _, f := range files {
		in := filepath.Join(dir, f.Name())
		count, ok := counted(in)
		if !ok {
			t.Logf("%s: capinfos does not read it", f.Name())
			continue
		}
		compared++
		want := seen(t, in)
		for _, format := range []string{"pcapng", "pcap"} {
			path := filepath.Join(out, "out."+format)
			a := run(t, exec.Command(program(t), "pcap", "--pcap", in, "-o", format))
			if format == "pcap" && a.status == 1 && strings.Contains(a.errs, "classic pcap holds one link type") {
				mixed++
				continue
			}
			if a.status != 0 {
				t.Errorf("%s: pcap -o %s: status %d: %s", f.Name(), format, a.status, a.errs)
				continue
			}
			if err := os.WriteFile(path, []byte(a.out), 0o600); err != nil {
				t.Fatal(err)
			}
			if got, _ := counted(path); got != count {
				t.Errorf("%s: %s packets as %s, capinfos counts %s: %s", f.Name(), got, format, count, a.errs)
			} else if got := seen(t, path); got != want {
				t.Errorf("%s: tshark sees other bytes or times in the %s", f.Name(), format)
			}
		}
	}
	if compared == 0 {
		t.Errorf("%s has no file that capinfos reads", dir)
	}
	t.Logf("%d files, %d of them with several link types", compared, mixed)
}

// counted is how many packets capinfos counts; false: it does not read the file.
func counted(path string) (count string, ok bool) {
	out, err := exec.Command("capinfos", "-T", "-M", "-r", "-c", path).Output()
	_, count, found := strings.Cut(strings.TrimSpace(string(out)), "\t")
	return count, err == nil && found
}

// seen is what tshark sees of each packet: its time, its lengths, and its bytes.
func seen(t *testing.T, path string) string {
	t.Helper()
	times, err := exec.Command("tshark", "-r", path, "-T", "fields", "-e", "frame.time_epoch", "-e", "frame.len", "-e", "frame.cap_len").Output()
	if err != nil {
		t.Errorf("tshark -r %s: %v", path, err)
	}
	text, err := exec.Command("tshark", "-n", "-r", path, "-x").Output()
	if err != nil {
		t.Errorf("tshark -r %s -x: %v", path, err)
	}
	// The lines of the packets' bytes, and not of what was decrypted or put together of them.
	var b bytes.Buffer
	b.Write(times)
	other := false
	for line := range strings.Lines(string(text)) {
		if strings.HasSuffix(line, " bytes):\n") {
			other = !strings.HasPrefix(line, "Frame (")
		} else if line == "\n" {
			other = false
		}
		if !other && len(line) > 6 && line[4] == ' ' && line[5] == ' ' && strings.Trim(line[:4], "0123456789abcdef") == "" {
			b.WriteString(line)
		}
	}
	return b.String()
}
