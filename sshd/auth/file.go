package auth

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"time"
)

// file is a file that is read again when it changed. Its owner guards it.
type file struct {
	path string
	max  int64 // bytes; a larger one cannot be read
	now  func() time.Time

	stamp  fileStamp
	loaded bool
	last   string // what was found: a digest, or an error
}

// fileStamp tells whether a file changed.
type fileStamp struct {
	mod  time.Time
	size int64
	ok   bool
}

// load reads the file if it is another than the last time. changed is false where nothing is
// new: the same content, or the same error.
func (f *file) load() (content []byte, changed bool, err error) {
	var now fileStamp
	st, err := os.Stat(f.path)
	if err == nil {
		now = fileStamp{st.ModTime(), st.Size(), true}
	}
	// A file that was written in the last two seconds may change again within one tick of
	// its file system's clock.
	fresh := now.ok && f.now().Sub(now.mod) < 2*time.Second
	if f.loaded && now == f.stamp && !fresh {
		return nil, false, nil
	}
	f.stamp, f.loaded = now, true
	if err == nil {
		content, err = f.read()
	}
	found := ""
	if err != nil {
		found = "error " + err.Error()
	} else {
		found = fmt.Sprintf("sum %x", sha256.Sum256(content))
	}
	changed = found != f.last
	f.last = found
	return content, changed, err
}

func (f *file) read() ([]byte, error) {
	in, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, f.max+1))
	if err == nil && int64(len(b)) > f.max {
		err = fmt.Errorf("read %s: it is larger than %d bytes", f.path, f.max)
	}
	return b, err
}

// eachLine visits the lines of a file that are neither empty nor comments.
func eachLine(b []byte, visit func(n int, line []byte)) {
	for n := 1; len(b) > 0; n++ {
		line := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			visit(n, line)
		}
	}
}
