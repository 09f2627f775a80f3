package filter

import (
	"bytes"
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"strings"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"

	"github.com/sshark/sshark/dissect"
)

// value is a CEL value.
type value = ref.Val

// bodyType and cidrType are types of the language that nothing outside of it has.
var (
	bodyType = types.NewOpaqueType("body")
	cidrType = types.NewOpaqueType("cidr")
)

// mapVal is a map that has "" for every key it does not have. With fold, its keys are in lower
// case and are found in any.
type mapVal struct {
	m    map[string]string
	fold bool
}

func (v *mapVal) lookup(key ref.Val) (string, bool) {
	k, ok := key.(types.String)
	if !ok {
		return "", false
	}
	s, ok := v.m[string(k)]
	if !ok && v.fold {
		s, ok = v.m[strings.ToLower(string(k))]
	}
	return s, ok
}

// Find never fails to find: what is missing is "". Presence is asked with Contains.
func (v *mapVal) Find(key ref.Val) (ref.Val, bool) { return v.Get(key), true }

func (v *mapVal) Get(key ref.Val) ref.Val {
	s, _ := v.lookup(key)
	return types.String(s)
}

func (v *mapVal) Contains(key ref.Val) ref.Val {
	_, ok := v.lookup(key)
	return types.Bool(ok)
}

func (v *mapVal) plain() traits.Mapper {
	return types.NewStringStringMap(types.DefaultTypeAdapter, v.m)
}

func (v *mapVal) Iterator() traits.Iterator                   { return v.plain().Iterator() }
func (v *mapVal) Size() ref.Val                               { return types.Int(len(v.m)) }
func (v *mapVal) Type() ref.Type                              { return types.MapType }
func (v *mapVal) Value() any                                  { return v.m }
func (v *mapVal) ConvertToNative(t reflect.Type) (any, error) { return v.plain().ConvertToNative(t) }
func (v *mapVal) ConvertToType(t ref.Type) ref.Val            { return v.plain().ConvertToType(t) }
func (v *mapVal) Equal(other ref.Val) ref.Val {
	if o, ok := other.(*mapVal); ok {
		other = o.plain()
	}
	return v.plain().Equal(other)
}

// listVal is a list of strings that has "" beyond its end (see index).
type listVal struct {
	traits.Lister
	n int
}

func newList(s []string) value {
	return &listVal{types.NewStringList(types.DefaultTypeAdapter, s), len(s)}
}

// index is list[i] with "" for what is missing; a list that the filter itself wrote keeps
// CEL's rule, which is an error.
func index(list, i ref.Val) ref.Val {
	if l, ok := list.(*listVal); ok {
		if n, ok := i.(types.Int); ok && (n < 0 || int64(n) >= int64(l.n)) {
			return types.String("")
		}
		return l.Lister.Get(i)
	}
	if l, ok := list.(traits.Indexer); ok {
		return l.Get(i)
	}
	return types.MaybeNoSuchOverloadErr(list)
}

// bodies is the field body: both bodies of a call; what is asked of it is true where it is
// true of one of them.
type bodies struct {
	part [2][]byte
}

// data is a body as it can be searched.
func data(m dissect.Message, part int) []byte {
	if m == nil {
		return nil
	}
	if b := m.Body(part); b != nil {
		return b.Data
	}
	return nil
}

func (b *bodies) any(f func([]byte) bool) ref.Val {
	return types.Bool(f(b.part[0]) || f(b.part[1]))
}

func (b *bodies) contains(s string) ref.Val {
	return b.any(func(p []byte) bool { return bytes.Contains(p, []byte(s)) })
}

func (b *bodies) startsWith(s string) ref.Val {
	return b.any(func(p []byte) bool { return bytes.HasPrefix(p, []byte(s)) })
}

func (b *bodies) endsWith(s string) ref.Val {
	return b.any(func(p []byte) bool { return bytes.HasSuffix(p, []byte(s)) })
}

func (b *bodies) matches(re *regexp.Regexp) ref.Val { return b.any(re.Match) }

func (b *bodies) Type() ref.Type { return bodyType }
func (b *bodies) Value() any     { return b }
func (b *bodies) Equal(other ref.Val) ref.Val {
	o, ok := other.(*bodies)
	return types.Bool(ok && bytes.Equal(b.part[0], o.part[0]) && bytes.Equal(b.part[1], o.part[1]))
}

func (b *bodies) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("convert a body to %v: not supported", t)
}

func (b *bodies) ConvertToType(t ref.Type) ref.Val {
	return types.NewErr("convert a body to %s: not supported", t.TypeName())
}

// network is the value of cidr().
type network struct{ netip.Prefix }

// parseNetwork reads a prefix, or an address as the network of itself.
func parseNetwork(s string) (network, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return network{p.Masked()}, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return network{}, fmt.Errorf("%q is no network: want an address and a prefix length, such as 10.0.0.0/8", s)
	}
	return network{netip.PrefixFrom(a, a.BitLen())}, nil
}

func (n network) containsIP(s string) ref.Val {
	a, err := netip.ParseAddr(s)
	return types.Bool(err == nil && n.Contains(a.Unmap()))
}

func (n network) Type() ref.Type { return cidrType }
func (n network) Value() any     { return n }
func (n network) Equal(other ref.Val) ref.Val {
	return types.Bool(other.Type() == cidrType && other.Value() == n)
}

func (n network) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("convert a network to %v: not supported", t)
}

func (n network) ConvertToType(t ref.Type) ref.Val {
	return types.NewErr("convert a network to %s: not supported", t.TypeName())
}
