package query

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/sshark/sshark/dissect/keylog"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/pcapng"
)

// maxKeyLine is how long a line of a key log may be, in bytes.
const maxKeyLine = 64 << 10

// lookAhead is how many bytes of a part are read for secrets before its packets are: an answer
// must not wait for the end of a large file.
const lookAhead = 256 << 20

// KeyLog takes a file of secrets that TLS is decrypted with, in the format of SSLKEYLOGFILE, for
// all questions that follow.
func (f *File) KeyLog(path string) error {
	in, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read secrets: %w", err)
	}
	defer in.Close()
	lines, found := bufio.NewScanner(in), 0
	lines.Buffer(nil, maxKeyLine)
	for lines.Scan() {
		found += f.secrets.Add(lines.Bytes())
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong) || err == nil && found == 0:
		return fmt.Errorf("read secrets: %s holds none; it must be what a client or server wrote to SSLKEYLOGFILE", path)
	case err != nil:
		return fmt.Errorf("read secrets: %w", err)
	}
	return nil
}

// unlock gathers, once, the secrets that the parts bring along, as they may stand behind packets
// that they are for. Those that stand further back than lookAhead are found as the packets are
// read, and decrypt the connections that begin behind them. Only a pcapng can have any.
func (f *File) unlock(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.unlocked {
		return nil
	}
	for i := range f.parts {
		if err := f.parts[i].unlock(ctx, f.secrets, f.lookAhead); err != nil {
			return err
		}
	}
	if n := f.secrets.LeftOut(); n > 0 {
		f.notes = append(f.notes, fmt.Sprintf("%d secrets were left out: those of %d connections at most are used", n, keylog.MaxConnections))
	}
	f.unlocked = true
	return nil
}

// found takes secrets as a part is read. Those that are new wait until the packets before them
// were dissected, so that every reading gives the same answer.
func (r *partReader) found(kind uint32, data []byte) {
	p := r.pass
	if p.secrets != nil && p.failed == nil {
		p.failed = p.secrets(kind, data)
	}
	if p.engine != nil && kind == keylog.Kind && r.rd.Offset() > p.file.lookAhead {
		p.engine.Sync()
		p.file.secrets.Add(data)
	}
}

// unlock reads so many bytes of a part for its secrets. What is wrong with it is told when it is read for its
// packets.
func (p *part) unlock(ctx context.Context, secrets *keylog.Store, ahead int64) error {
	in, err := os.Open(p.path)
	if err != nil {
		return err
	}
	defer in.Close()
	rd, err := pcapng.NewReader(in, pcapng.ReaderOptions{OnSecrets: func(kind uint32, text []byte) {
		if kind == keylog.Kind {
			secrets.Add(text)
		}
	}})
	if err != nil {
		return fmt.Errorf("read %s: %w", p.label, err)
	}
	if rd.Counts().Sections == 0 { // classic pcap
		return nil
	}
	var packet pcap.Packet
	for n := 0; ; n++ {
		if n&1023 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if rd.Next(&packet) != nil || rd.Offset() > ahead {
			return nil
		}
	}
}
