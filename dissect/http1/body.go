package http1

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/zlib"
	"errors"
	"fmt"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/sshark/sshark/dissect"
)

// Limits of decoding.
const (
	maxCodings = 4       // one upon the other
	maxWindow  = 8 << 20 // of zstd (RFC 9659)
	// A coding below another may give this much; more than any honest one for a body that is
	// cut at the limit of what is shown.
	maxBetween = 64 << 20
)

var (
	errCodings = errors.New("too many content codings")
	errCoding  = errors.New("unknown content coding")
	errBomb    = errors.New("inner content coding is too large")
)

// Body implements dissect.Message. It decodes at the first call.
func (e *exchange) Body(part int) *dissect.Body {
	m := &e.req
	if part == 1 {
		m = &e.resp
	}
	if !m.seen || !m.asked || m.size == 0 || part>>1 != 0 {
		return nil
	}
	b := &e.bodies[part]
	if !e.opened[part] {
		e.opened[part] = true
		m.open(b)
	}
	return b
}

func (m *message) open(b *dissect.Body) {
	*b = dissect.Body{
		Type:      string(m.header("content-type")),
		Data:      m.body,
		Size:      m.size,
		Truncated: m.cut || m.incomplete,
	}
	codings, err := m.codings()
	if len(codings) == 0 && err == nil || len(m.body) == 0 {
		return
	}
	for i, c := range codings {
		if i > 0 {
			b.Encoding += ", "
		}
		b.Encoding += c
	}
	var data []byte
	more := false
	if err == nil {
		data, more, err = decode(m.body, codings, m.limit)
	}
	// What was cut cannot be decoded to its end: what there is, is shown.
	if err != nil && b.Truncated && len(data) > 0 && !errors.Is(err, errBomb) {
		err = nil
	}
	if err != nil {
		b.Err = fmt.Errorf("decode %s: %w", b.Encoding, err)
		return
	}
	b.Data, b.Truncated = data, b.Truncated || more
}

// codings are the content codings in the order in which they were applied, with transfer
// codings other than chunked behind them.
func (m *message) codings() (list []string, err error) {
	for _, name := range [...]string{"content-encoding", "transfer-encoding"} {
		for l := m.lines(); l.next(); {
			if !equalFold(l.name, name) {
				continue
			}
			for item := range bytes.SplitSeq(l.value, []byte{','}) {
				switch c := string(appendLower(nil, trim(item))); c {
				case "", "identity", "chunked":
				case "x-gzip":
					list = append(list, "gzip")
				default:
					list = append(list, c)
				}
			}
			if len(list) > maxCodings {
				return list[:maxCodings], errCodings
			}
		}
	}
	return list, nil
}

// decode undoes the codings, the last one first, and returns up to limit bytes. more says
// that there would be more. With an error come the bytes that were decoded before it.
func decode(body []byte, codings []string, limit int) (data []byte, more bool, err error) {
	var r io.Reader = bytes.NewReader(body)
	for i := len(codings) - 1; i >= 0; i-- {
		if i < len(codings)-1 {
			r = &bounded{r: r, left: maxBetween}
		}
		d, done, err := decoder(r, codings[i])
		if err != nil {
			return nil, false, err
		}
		defer done()
		r = d
	}
	var out bytes.Buffer
	_, err = io.Copy(&out, io.LimitReader(r, int64(limit)+1))
	data = out.Bytes()
	if len(data) > limit {
		return data[:limit], true, nil
	}
	return data, false, err
}

// decoder undoes one coding (RFC 9110, 8.4.1; RFC 7932; RFC 8878).
func decoder(r io.Reader, coding string) (d io.Reader, done func(), err error) {
	nothing := func() {}
	switch coding {
	case "gzip":
		d, err = gzip.NewReader(r)
		return d, nothing, err
	case "deflate":
		// zlib is meant, raw deflate is sent by some: a zlib header is told by its check bits.
		b := bufio.NewReader(r)
		if h, _ := b.Peek(2); len(h) == 2 && h[0]&15 == 8 && (uint(h[0])<<8|uint(h[1]))%31 == 0 {
			d, err = zlib.NewReader(b)
			return d, nothing, err
		}
		return flate.NewReader(b), nothing, nil
	case "br":
		return brotli.NewReader(r), nothing, nil
	case "zstd":
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nothing, err
		}
		return z, z.Close, nil
	}
	return nil, nothing, fmt.Errorf("%w %q", errCoding, coding)
}

// bounded is a reader that fails when it gave too much.
type bounded struct {
	r    io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errBomb
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
