package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/block"
)

// The place of things in a record batch (version 2) and in a message of the sets that were
// before (versions 0 and 1).
const (
	batchPrefix = 12 // base offset, and the length of what follows
	batchMagic  = 16
	batchCodec  = 22 // attributes
	batchHeader = 61
	setHeader   = 18 // offset, length, checksum, version, attributes
)

// codecs are by the lowest three bits of the attributes.
var codecs = [8]string{1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}

const (
	maxWindow = 8 << 20 // of Zstandard
	maxNested = 2       // message sets within a message
)

var (
	errRecords = errors.New("no record batch")
	errCodec   = errors.New("unknown codec")
)

// Body implements dissect.Message: of produce and fetch the values of the records, a line
// each; else what there is behind the header. It decodes at the first call.
func (e *exchange) Body(part int) *dissect.Body {
	if !e.bodies || part>>1 != 0 || part == 0 && e.bodySize == 0 || part == 1 && (!e.said || len(e.resp) == 0) {
		return nil
	}
	b := &e.body[part]
	if e.opened[part] {
		return b
	}
	e.opened[part] = true
	raw, size, cut := e.mem[e.client:], e.bodySize, e.cut
	if part == 1 {
		raw, size, cut = e.resp, e.respSize, e.answerCut
	}
	*b = dissect.Body{Data: raw, Size: size, Truncated: cut || int64(len(raw)) < size}
	if b.Data = raw[:min(len(raw), e.limit)]; len(b.Data) < len(raw) {
		b.Truncated = true
	}
	if !e.known() || part == 0 && e.key != keyProduce || part == 1 && e.key != keyFetch {
		return b
	}
	w := walker{b: raw, version: e.version, flexible: e.version >= apis[e.key].flexible}
	v := visitor{all: true}
	if part == 0 {
		w.walk(layouts[e.key].request, &v)
	} else {
		w.walk(layouts[e.key].response, &v)
	}
	b.Data, b.Size = nil, 0
	r := reader{limit: e.limit}
	for _, records := range v.records {
		b.Size += int64(len(records))
		if r.err == nil {
			r.batches(records)
		}
	}
	b.Data, b.Encoding = r.out, r.codec
	b.Truncated = b.Truncated || w.short || len(r.out) >= r.limit
	if r.err != nil && !b.Truncated {
		b.Err = fmt.Errorf("decode records: %w", r.err)
	}
	return b
}

// reader collects the values of records.
type reader struct {
	out   []byte
	limit int
	n     int // values
	codec string
	err   error
}

// batches goes through record batches, or the messages of a set, one behind the other. The
// last one may be cut, as brokers do.
func (r *reader) batches(b []byte) { r.set(b, 0) }

func (r *reader) set(b []byte, depth int) {
	for len(b) > batchMagic && len(r.out) < r.limit {
		size := int64(binary.BigEndian.Uint32(b[8:])) + batchPrefix
		if size > maxMessage || size <= batchMagic {
			r.err = errRecords
			return
		}
		one := b[:min(size, int64(len(b)))]
		b = b[len(one):]
		switch one[batchMagic] {
		case 0, 1:
			r.message(one, depth)
		case 2:
			r.batch(one)
		default:
			r.err = errRecords
			return
		}
	}
}

// batch takes a record batch.
func (r *reader) batch(b []byte) {
	if len(b) < batchHeader {
		return
	}
	data := r.decoded(b[batchHeader:], b[batchCodec]&7)
	for n := binary.BigEndian.Uint32(b[batchHeader-4:]); n > 0 && len(data) > 0 && len(r.out) < r.limit; n-- {
		size, k := binary.Varint(data)
		if k <= 0 || size <= 0 {
			return
		}
		one := data[k:]
		one = one[:min(size, int64(len(one)))]
		data = data[k+len(one):]
		r.record(one)
	}
}

// record takes a record of a batch: attributes, two numbers, key, value, headers.
func (r *reader) record(b []byte) {
	if len(b) == 0 {
		return
	}
	b = b[1:]
	for range 2 {
		_, k := binary.Varint(b)
		if k <= 0 {
			return
		}
		b = b[k:]
	}
	_, b, _ = counted(b)
	if value, _, ok := counted(b); ok {
		r.value(value)
	}
}

// counted reads bytes behind their length, -1 for null.
func counted(b []byte) (data, rest []byte, ok bool) {
	n, k := binary.Varint(b)
	if k <= 0 {
		return nil, nil, false
	}
	b = b[k:]
	n = min(max(n, 0), int64(len(b)))
	return b[:n], b[n:], true
}

// message takes a message of a set: its value may be a set by itself.
func (r *reader) message(b []byte, depth int) {
	if len(b) < setHeader {
		return
	}
	codec := b[batchMagic+1] & 7
	b2 := b[setHeader:]
	if b[batchMagic] == 1 { // with a time
		b2 = b2[min(8, len(b2)):]
	}
	var value []byte
	for i := range 2 {
		if len(b2) < 4 {
			return
		}
		n := int64(int32(binary.BigEndian.Uint32(b2)))
		b2 = b2[4:]
		n = min(max(n, 0), int64(len(b2)))
		if i == 1 {
			value = b2[:n]
		}
		b2 = b2[n:]
	}
	if codec == 0 {
		r.value(value)
	} else if depth < maxNested {
		r.set(r.decoded(value, codec), depth+1)
	}
}

// value notes a value.
func (r *reader) value(v []byte) {
	if r.n++; r.n > 1 && len(r.out) < r.limit {
		r.out = append(r.out, '\n')
	}
	r.out = append(r.out, v[:min(len(v), max(0, r.limit-len(r.out)))]...)
}

// decoded undoes a codec, as far as the limit goes.
func (r *reader) decoded(b []byte, codec byte) []byte {
	if codec == 0 {
		return b
	}
	if r.codec = codecs[codec]; r.codec == "" {
		r.err = errCodec
		return nil
	}
	// Keys and lengths come on top of the values.
	data, err := decode(b, codec, 2*r.limit+4096)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("%s: %w", r.codec, err)
	}
	return data
}

func decode(b []byte, codec byte, limit int) ([]byte, error) {
	switch codecs[codec] {
	case "snappy":
		return unsnappy(b, limit)
	case "lz4":
		return unlz4(b, limit)
	case "gzip":
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		return readAll(z, limit)
	}
	z, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return readAll(z, limit)
}

func readAll(r io.Reader, limit int) ([]byte, error) {
	var out bytes.Buffer
	_, err := io.Copy(&out, io.LimitReader(r, int64(limit)))
	return out.Bytes(), err
}

// xerial begins what Java clients send: blocks of Snappy, with the length of each before it.
var xerial = []byte("\x82SNAPPY\x00")

const xerialHeader = 16 // with two versions

func unsnappy(b []byte, limit int) (out []byte, err error) {
	if !bytes.HasPrefix(b, xerial) || len(b) < xerialHeader {
		return block.Snappy(nil, b, limit)
	}
	for b = b[xerialHeader:]; len(b) > 4 && len(out) < limit && err == nil; {
		n := min(int64(binary.BigEndian.Uint32(b)), int64(len(b)-4))
		out, err = block.Snappy(out, b[4:4+n], limit-len(out))
		b = b[4+n:]
	}
	return out, err
}

// unlz4 undoes the frame format of LZ4, without looking at checksums.
func unlz4(b []byte, limit int) (out []byte, err error) {
	const (
		magic       = 0x184D2204
		header      = 7 // magic, flags, block size, checksum
		independent = 1 << 5
		blockSums   = 1 << 4
		sized       = 1 << 3
		dictionary  = 1 << 0
		plain       = 1 << 31 // of a block's size
	)
	if len(b) < header || binary.LittleEndian.Uint32(b) != magic {
		return nil, block.ErrCorrupt
	}
	flags := b[4]
	b = b[header:]
	for _, extra := range [...]struct {
		flag byte
		n    int
	}{{sized, 8}, {dictionary, 4}} {
		if flags&extra.flag != 0 {
			b = b[min(extra.n, len(b)):]
		}
	}
	for len(b) >= 4 && len(out) < limit && err == nil {
		size := binary.LittleEndian.Uint32(b)
		if b = b[4:]; size == 0 {
			return out, nil
		}
		one := b[:min(int64(size&^plain), int64(len(b)))]
		b = b[len(one):]
		base := 0
		if flags&independent != 0 {
			base = len(out)
		}
		if size&plain != 0 {
			out = append(out, one[:min(len(one), limit-len(out))]...)
		} else {
			out, err = block.LZ4(out, base, one, limit-len(out))
		}
		if flags&blockSums != 0 {
			b = b[min(4, len(b)):]
		}
	}
	return out, err
}
