package files

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
)

// maxLine is how long a line of the old protocol may be.
const maxLine = 4096

// receive is the far end of scp -O -t: it takes files into /snapshots.
func (s *scp) receive(paths []string) error {
	if len(paths) != 1 {
		return s.tell(errors.New("want one place to copy to"))
	}
	if _, temporary, ok := s.t.putName(paths[0]); (!ok || temporary) && !isSnapshots(paths[0]) {
		return s.tell(fmt.Errorf("%s: %w", paths[0], errReadOnly))
	}
	if err := s.say(nil); err != nil { // we are ready
		return err
	}
	for {
		line, err := s.readLine()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		switch line[0] {
		case 'C':
			err = s.receiveFile(paths[0], line[1:])
		case 'T', 'E': // times are not kept: those of a snapshot are in it
			err = s.say(nil)
		case 'D':
			err = s.say(errors.New("folders are not taken"))
		case 1, 2:
			s.failed = true // the client told its user
		default:
			return s.tell(fmt.Errorf("scp's line %q is not known", line[:1]))
		}
		if err != nil {
			return err
		}
		if line[0] == 2 {
			break
		}
	}
	if s.failed {
		return errors.New("not everything was copied")
	}
	return nil
}

func isSnapshots(p string) bool { return path.Clean("/"+p) == "/"+snapshotsDir }

// say answers well, or with an error, after which the client goes on with its next file.
func (s *scp) say(err error) error {
	if err == nil {
		_, err = s.out.Write([]byte{0})
		return err
	}
	s.failed = true
	_, err = fmt.Fprintf(s.out, "\x01scp: %s\n", strings.ReplaceAll(err.Error(), "\n", " "))
	return err
}

// readLine reads a line without its end; io.EOF if there is none.
func (s *scp) readLine() (string, error) {
	var line []byte
	for {
		b, err := s.in.ReadByte()
		switch {
		case err == io.EOF && len(line) > 0:
			return "", io.ErrUnexpectedEOF
		case err != nil:
			return "", err
		case b == '\n' && len(line) > 0:
			return string(line), nil
		case len(line) >= maxLine, b == '\n':
			return "", s.tell(errors.New("a line of scp's is empty or too long"))
		}
		line = append(line, b)
	}
}

// receiveFile takes one file: its line is "MODE SIZE NAME".
func (s *scp) receiveFile(target, line string) error {
	field := strings.SplitN(line, " ", 3)
	var size int64
	err := errors.New("scp's line of a file is not understood")
	if len(field) == 3 {
		size, err = strconv.ParseInt(field[1], 10, 64)
	}
	if err != nil || size < 0 || field[2] == "" || strings.Contains(field[2], "/") {
		return s.tell(fmt.Errorf("scp's line %q of a file is not understood", line))
	}
	if isSnapshots(target) {
		target = path.Join(target, field[2])
	}
	if _, temporary, _ := s.t.putName(target); temporary { // nothing is renamed here
		return s.say(fmt.Errorf("%s: %w", target, errReadOnly))
	}
	u, err := s.t.Put(target)
	if err != nil {
		return s.say(fmt.Errorf("%s: %w", target, err))
	}
	defer u.quietly() // nothing, if it was closed
	if err := s.say(nil); err != nil {
		u.TransferError(err)
		return err
	}
	// What cannot be written is read all the same: the client sends it.
	var writeErr error
	b := make([]byte, 64<<10)
	for off := int64(0); off < size; {
		n, err := s.in.Read(b[:min(int64(len(b)), size-off)])
		if err != nil {
			u.TransferError(err)
			return fmt.Errorf("read %s: %d of %d bytes: %w", target, off, size, err)
		}
		if writeErr == nil {
			_, writeErr = u.write(b[:n], off)
		}
		off += int64(n)
	}
	if err := s.ack(); err != nil { // the client could not read all of it
		u.TransferError(err)
		return s.say(err)
	}
	if writeErr != nil {
		u.TransferError(writeErr)
		return s.say(fmt.Errorf("%s: %w", target, writeErr))
	}
	if err := u.quietly(); err != nil {
		return s.say(fmt.Errorf("%s: %w", target, err))
	}
	return s.say(nil)
}
