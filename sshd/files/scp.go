package files

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// IsSCP says whether a command is the far end of scp -O.
func IsSCP(args []string) bool {
	if len(args) < 3 || args[0] != "scp" {
		return false
	}
	o, _, err := scpOptions(args[1:])
	return err == nil && (o.from || o.to)
}

// scpFlags are what scp tells its far end.
type scpFlags struct {
	from, to, recursive, times, folder bool
}

func scpOptions(args []string) (o scpFlags, paths []string, err error) {
	for i, a := range args {
		if a == "--" {
			return o, args[i+1:], nil
		}
		if !strings.HasPrefix(a, "-") || a == "-" {
			return o, args[i:], nil
		}
		for _, c := range a[1:] {
			switch c {
			case 'f':
				o.from = true
			case 't':
				o.to = true
			case 'r':
				o.recursive = true
			case 'p':
				o.times = true
			case 'd':
				o.folder = true
			case 'v', 'q':
			default:
				return o, nil, fmt.Errorf("scp option -%c is not known", c)
			}
		}
	}
	return o, nil, nil
}

// scp is one run of the old protocol of scp, which the RFCs do not know: each line and each
// file is answered with a byte, 0 for well, 1 with a line for an error, 2 for the end.
type scp struct {
	t      *Tree
	in     *bufio.Reader
	out    io.Writer
	o      scpFlags
	failed bool
}

// ServeSCP is the far end of scp -O. It returns an error if anything was not copied; the
// client was told of it.
func (t *Tree) ServeSCP(args []string, conn io.ReadWriter) error {
	o, paths, err := scpOptions(args[1:])
	s := &scp{t: t, in: bufio.NewReader(conn), out: conn, o: o}
	switch {
	case err != nil:
		return s.tell(err)
	case len(paths) == 0:
		return s.tell(errors.New("no file is named"))
	case o.to:
		return s.receive(paths)
	}
	if err := s.ack(); err != nil { // the client is ready
		return err
	}
	for _, p := range paths {
		found, err := t.glob(p)
		if err != nil {
			s.failed = true
			if err := s.warn(p, err); err != nil {
				return err
			}
		}
		for _, f := range found {
			if err := s.send(f); err != nil {
				return err
			}
		}
	}
	if s.failed {
		return errors.New("not everything was copied")
	}
	return nil
}

// tell ends the copy with an error.
func (s *scp) tell(err error) error {
	if _, werr := fmt.Fprintf(s.out, "\x01scp: %v\n", err); werr != nil {
		return werr
	}
	return err
}

// warn tells of one file; the copy goes on.
func (s *scp) warn(p string, err error) error {
	var pe interface{ Unwrap() error }
	if errors.As(err, &pe) && strings.Contains(err.Error(), p) {
		err = pe.Unwrap()
	}
	_, werr := fmt.Fprintf(s.out, "\x01scp: %s: %v\n", strings.ReplaceAll(p, "\n", " "), strings.ReplaceAll(err.Error(), "\n", " "))
	return werr
}

// ack reads the client's answer.
func (s *scp) ack() error {
	b, err := s.in.ReadByte()
	if err != nil {
		return fmt.Errorf("read scp's answer: %w", err)
	}
	if b == 0 {
		return nil
	}
	line, _ := s.in.ReadString('\n') // the text is for the log
	return fmt.Errorf("scp's client says: %q", strings.TrimSpace(line))
}

func (s *scp) line(format string, args ...any) error {
	if _, err := fmt.Fprintf(s.out, format, args...); err != nil {
		return err
	}
	return s.ack()
}

// send copies a file, or a folder with -r. Its error ends the copy.
func (s *scp) send(p string) error {
	i, err := s.t.Stat(p)
	if err != nil {
		s.failed = true
		return s.warn(p, err)
	}
	if !i.IsDir() {
		return s.sendFile(p)
	}
	if !s.o.recursive {
		s.failed = true
		return s.warn(p, errors.New("not a regular file"))
	}
	list, err := s.t.List(p)
	if err != nil {
		s.failed = true
		return s.warn(p, err)
	}
	name := path.Base(p)
	if name == "/" {
		name = "sshark"
	}
	if err := s.line("D0755 0 %s\n", name); err != nil {
		return err
	}
	for _, f := range list {
		if err := s.send(path.Join(p, f.Name())); err != nil {
			return err
		}
	}
	return s.line("E\n")
}

// sendFile copies a file. The protocol wants the size first: the file is made as a whole in
// the spool, or, if it has no room there, made twice.
func (s *scp) sendFile(p string) error {
	b, size, err := s.t.sized(p)
	if err != nil {
		s.failed = true
		return s.warn(p, err)
	}
	if s.o.times {
		i, err := s.t.Stat(p)
		if err == nil {
			err = s.line("T%[1]d 0 %[1]d 0\n", i.ModTime().Unix())
		}
		if err != nil {
			return errors.Join(err, b.Close())
		}
	}
	if err := s.line("C0644 %d %s\n", size, path.Base(p)); err != nil {
		return errors.Join(err, b.Close())
	}
	n, err := io.Copy(s.out, io.NewSectionReader(b, 0, size))
	if err != nil || n != size {
		// The client waits for bytes that do not come: only the end of the session tells it.
		return errors.Join(fmt.Errorf("copy %s: %d of %d bytes", p, n, size), err, b.Close())
	}
	if err := b.Close(); err != nil {
		s.failed = true
		if err := s.warn(p, err); err != nil {
			return err
		}
		return s.ack()
	}
	return s.line("\x00")
}

// sized opens a file with its size: from the spool, or by counting.
func (t *Tree) sized(p string) (File, int64, error) {
	e, err := t.resolve(p)
	if err != nil {
		return nil, 0, err
	}
	done := func(n int64, err error) {
		if t.Done != nil {
			t.Done(p, n, err)
		}
	}
	if e.kept != nil {
		f, err := t.openSnapshot(e.kept, done)
		return f, e.kept.Size, err
	}
	e.closed = true // its window is fixed: both passes find the same packets
	s, err := t.spool(p+"\x00once", e)
	if err != nil {
		return nil, 0, err
	}
	if s != nil {
		t.forget(p + "\x00once")
		return &once{reader{io.NewSectionReader(s.file, 0, s.size), s, done}, t}, s.size, nil
	}
	count := &bounded{w: io.Discard, left: 1 << 62}
	if err := t.produce(t.ctx, e, count); err != nil {
		return nil, 0, err
	}
	return newSequence(t.ctx, t.producer(e), done), count.n, nil
}

// once is a spool file that nobody else reads: it goes when it is closed.
type once struct {
	reader
	t *Tree
}

func (o *once) Close() error {
	o.t.mu.Lock()
	o.t.spooled -= o.s.size
	o.t.mu.Unlock()
	return errors.Join(o.reader.Close(), o.s.file.Close())
}

// forget takes a spool out of those that Close removes.
func (t *Tree) forget(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.spools, key)
	delete(t.tooBig, key)
}

// glob expands * ? and [] in a path, as the far end of the old protocol has to.
func (t *Tree) glob(p string) ([]string, error) {
	p = path.Clean("/" + p)
	if !strings.ContainsAny(p, "*?[") {
		return []string{p}, nil
	}
	found := []string{"/"}
	for _, part := range strings.Split(p[1:], "/") {
		var next []string
		for _, dir := range found {
			if !strings.ContainsAny(part, "*?[") {
				next = append(next, path.Join(dir, part))
				continue
			}
			list, err := t.List(dir)
			if err != nil {
				continue // what is no folder has nothing below it
			}
			for _, i := range list {
				ok, err := path.Match(part, i.Name())
				if err != nil {
					return nil, fmt.Errorf("%s: %w", p, err)
				}
				if ok {
					next = append(next, path.Join(dir, i.Name()))
				}
			}
		}
		found = next
	}
	slices.Sort(found)
	if len(found) == 0 {
		return nil, fmt.Errorf("no match")
	}
	return found, nil
}
