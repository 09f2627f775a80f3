package sshd

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestUploadUnderTemporaryName: programs that put a file under another name, and rename it when
// all of it is there, can bring a snapshot; what is not renamed is not kept, and that is said.
func TestUploadUnderTemporaryName(t *testing.T) {
	dir := t.TempDir()
	x := newTenants(t, true, true, withSnapshots(t, dir))
	if r := x.as("ops", "snapshot create one --since 1h"); r.status != 0 {
		t.Fatalf("%+v", r)
	}
	good, bad := x.file("good.tar.gz"), x.file("bad.tar.gz")
	if r := x.scpAs("ops", x.remote("/snapshots/one.tar.gz"), good); r.status != 0 {
		t.Fatalf("%+v", r)
	}
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	x.write("bad.tar.gz", string(text[:len(text)/2]))
	for _, tt := range []struct {
		name, commands string
		status         int
		says           string
		kept           string
	}{
		{"WinSCP", "put GOOD /snapshots/win.tar.gz.filepart\nls -l /snapshots/win.tar.gz.filepart\nrename /snapshots/win.tar.gz.filepart /snapshots/win.tar.gz\n", 0, "", "win"},
		{"rclone", "-ls -l /snapshots/rc.tar.gz\nput GOOD /snapshots/rc.tar.gz.1a2b3c4d.partial\nrename /snapshots/rc.tar.gz.1a2b3c4d.partial /snapshots/rc.tar.gz\n", 0, "", "rc"},
		{"rsync into a mounted tree", "put -p GOOD /snapshots/.rs.tar.gz.Xy12zW\nrename /snapshots/.rs.tar.gz.Xy12zW /snapshots/rs.tar.gz\n", 0, "", "rs"},
		{"put twice", "put GOOD /snapshots/x.tar.gz.part\nput BAD /snapshots/x.tar.gz.part\nput GOOD /snapshots/x.tar.gz.part\nrename /snapshots/x.tar.gz.part /snapshots/x.tar.gz\n", 0, "", "x"},
		{"not renamed", "put GOOD /snapshots/y.tar.gz.tmp\n", 0, "it kept its temporary name", ""},
		{"cut off", "put BAD /snapshots/y.tar.gz.filepart\nrename /snapshots/y.tar.gz.filepart /snapshots/y.tar.gz\n", 1, "the end is missing", ""},
		{"another name", "put GOOD /snapshots/y.tar.gz.filepart\nrename /snapshots/y.tar.gz.filepart /snapshots/z.tar.gz\n", 1, "rename it to /snapshots/y.tar.gz", ""},
		{"out of the folder", "put GOOD /snapshots/y.tar.gz.filepart\nrename /snapshots/y.tar.gz.filepart /last/y.tar.gz\n", 1, "rename it to /snapshots/y.tar.gz", ""},
		{"name taken", "put GOOD /snapshots/one.tar.gz.filepart\n", 1, "already", ""},
		{"wrong name", "put GOOD /snapshots/Y.tar.gz.filepart\n", 1, "a-z", ""},
		{"removed", "put GOOD /snapshots/y.tar.gz.filepart\nrm /snapshots/y.tar.gz.filepart\n", 0, "", ""},
		{"removed twice", "rm /snapshots/y.tar.gz.filepart\n", 1, "not exist", ""},
		{"renamed, but not put", "rename /snapshots/y.tar.gz.filepart /snapshots/y.tar.gz\n", 1, "not exist", ""},
		{"a snapshot renamed", "rename /snapshots/one.tar.gz /snapshots/two.tar.gz\n", 1, "keeps its name", ""},
		{"some other file", "put GOOD /snapshots/y.tar.gz.bak\n", 1, "read only, but for /snapshots/NAME.tar.gz", ""},
		{"a folder", "mkdir /snapshots/y\n", 1, "ermission denied", ""},
	} {
		commands := strings.NewReplacer("GOOD", good, "BAD", bad).Replace(tt.commands)
		r := x.sftpAs("ops", commands)
		if r.status != tt.status || !strings.Contains(r.stderr, tt.says) {
			t.Errorf("%s: %+v", tt.name, r)
		}
		until(t, tt.name+": nothing is left", func() bool { return len(leftovers(t, dir)) == 0 })
		want := []string{".lock", "one.json", "one.tar.gz"}
		if tt.kept != "" {
			want = append(want, tt.kept+".json", tt.kept+".tar.gz")
			slices.Sort(want)
		}
		if names := namesIn(t, dir); !slices.Equal(names, want) {
			t.Errorf("%s: left %q", tt.name, names)
		}
		if tt.kept != "" {
			if r := x.as("ops", "calls -o json --all --snapshot "+tt.kept); r.status != 0 || strings.Count(r.out, "\n") < 10 {
				t.Errorf("%s: %+v", tt.name, r)
			}
			if r := x.as("ops", "snapshot delete "+tt.kept); r.status != 0 {
				t.Errorf("%s: %+v", tt.name, r)
			}
		}
	}
	// The old protocol renames nothing.
	if r := x.scpAs("ops", "-O", good, x.remote("/snapshots/y.tar.gz.filepart")); r.status != 1 || !strings.Contains(r.stderr, "read only") {
		t.Errorf("scp -O: %+v", r)
	}
	x.audited(`"what":"bring win"`, `"user":"ops"`)
	x.audited(`"what":"bring y"`, `"user":"ops"`, `"error":`)
}

// namesIn are the names of a folder's files.
func namesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}
