package http

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

// Why a body could not be decoded.
var (
	ErrCodings = errors.New("too many content codings")
	ErrCoding  = errors.New("unknown content coding")
	ErrBomb    = errors.New("inner content coding is too large")
)

// Kept is what was kept of a body.
type Kept struct {
	Data  []byte // as sent, without framing
	Size  int64  // of the body, with what is missing
	Cut   bool   // Data is not all of it
	Limit int    // of what is shown
}

// Open makes the body of a message, content coding undone.
func Open(b *dissect.Body, m Message, k Kept) {
	*b = dissect.Body{
		Type:      string(Header(m, "content-type")),
		Data:      k.Data,
		Size:      k.Size,
		Truncated: k.Cut,
	}
	codings, err := codingsOf(m)
	if len(codings) == 0 && err == nil || len(k.Data) == 0 {
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
		data, more, err = Decode(k.Data, codings, k.Limit)
	}
	// What was cut cannot be decoded to its end: what there is, is shown.
	if err != nil && b.Truncated && len(data) > 0 && !errors.Is(err, ErrBomb) {
		err = nil
	}
	if err != nil {
		b.Err = fmt.Errorf("decode %s: %w", b.Encoding, err)
		return
	}
	b.Data, b.Truncated = data, b.Truncated || more
}

// codingsOf are the content codings in the order in which they were applied, with transfer
// codings other than chunked behind them.
func codingsOf(m Message) (list []string, err error) {
	headers := m.Headers()
	for _, name := range [...]string{"content-encoding", "transfer-encoding"} {
		for i := range headers {
			if !EqualFold(headers[i].Name, name) {
				continue
			}
			for item := range bytes.SplitSeq(headers[i].Value, []byte{','}) {
				switch c := string(AppendLower(nil, Trim(item))); c {
				case "", "identity", "chunked":
				case "x-gzip":
					list = append(list, "gzip")
				default:
					list = append(list, c)
				}
			}
			if len(list) > maxCodings {
				return list[:maxCodings], ErrCodings
			}
		}
	}
	return list, nil
}

// Decode undoes content codings, the last one first, and returns up to limit bytes. more says
// that there would be more. With an error come the bytes that were decoded before it.
func Decode(body []byte, codings []string, limit int) (data []byte, more bool, err error) {
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
	return nil, nothing, fmt.Errorf("%w %q", ErrCoding, coding)
}

// bounded is a reader that fails when it gave too much.
type bounded struct {
	r    io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, ErrBomb
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
