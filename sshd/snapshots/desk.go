package snapshots

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/sshark/sshark/pcap/snapshot"
	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/worker/query"
)

// Desk is a library as one user may use it. Who may see anything may see which snapshots there
// are, and ask each: it tells them what the nodes would have told them. What a snapshot is about
// (its filter, how much is in it), its file, and its end are for those who may do that with all
// that it holds, and for who made it. A file that was brought holds whatever it says: it is given
// out to who brought it, and to those who may export everything.
//
// All fields but Spend and Did are needed.
type Desk struct {
	Library *Library
	User    string
	// Scope says where the user may do something, or refuses it.
	Scope func(v auth.Verb) (auth.Scope, error)
	// Guard makes a source one that tells what the user may see.
	Guard func(query.Source) query.Source
	// Live is the source that snapshots are made of, for a scope: what the user may export and
	// snapshot. Its questions count as one until end is called.
	Live func(where auth.Scope) (source query.Source, end func(), err error)
	// Spend is told of the bytes of a file before it is given out; its error refuses that. nil:
	// they are not counted.
	Spend func(bytes int) error
	// Did is told of what was made, brought or deleted, and of what was refused; nil: nobody.
	Did func(what string, bytes int64, err error)
}

func (d *Desk) did(what string, bytes int64, err error) {
	if d.Did != nil {
		d.Did(what, bytes, err)
	}
}

// covers says whether a scope has all of another one.
func covers(where, what auth.Scope) bool {
	return what.Intersect(where).Equal(what) && (where.All || !what.All)
}

// mine says whether the user made or brought a snapshot.
func (d *Desk) mine(i *Info) bool { return i.By == d.User && d.User != "" }

// List is all snapshots. Of those that hold what the user may not see, names, makers and times
// are told and nothing else; Nodes is 0 then.
func (d *Desk) List() ([]*Info, error) {
	see, err := d.Scope(auth.See)
	if err != nil {
		return nil, err
	}
	list := d.Library.List()
	for n, i := range list {
		if !covers(see, i.Holds) {
			list[n] = &Info{Name: i.Name, Modified: i.Modified, By: i.By, Brought: i.Brought, Created: i.Created, Since: i.Since, Until: i.Until}
		}
	}
	return list, nil
}

// refusal says that a verb is not allowed with a snapshot.
func (d *Desk) refusal(v auth.Verb, i *Info) error {
	why := "it holds traffic of other namespaces"
	if i.Brought {
		why = "it was brought by " + i.By + ", and may hold traffic of any namespace"
	}
	return &auth.Refusal{User: d.User, Verb: v, Why: fmt.Errorf("%w: snapshot %q: %s", auth.ErrRefused, i.Name, why)}
}

// may finds a snapshot with which the user may do something.
func (d *Desk) may(name string, v auth.Verb) (*Info, error) {
	where, err := d.Scope(v)
	if err != nil {
		return nil, err
	}
	i, err := d.Library.Get(name)
	if err != nil {
		return nil, err
	}
	if covers(where, i.Holds) || v != auth.See && i.Brought && d.mine(i) || v == auth.Snapshot && d.mine(i) {
		return i, nil
	}
	return nil, d.refusal(v, i)
}

// Show is what a snapshot says of itself.
func (d *Desk) Show(name string) (*Info, *snapshot.Manifest, error) {
	i, err := d.may(name, auth.See)
	if err != nil {
		return nil, nil, err
	}
	m, err := d.Library.Manifest(name)
	return i, m, err
}

// Source opens a snapshot to be asked.
func (d *Desk) Source(ctx context.Context, name string) (query.Source, io.Closer, error) {
	if _, err := d.Scope(auth.See); err != nil {
		return nil, nil, err
	}
	source, closer, err := d.Library.Source(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	return d.Guard(source), closer, nil
}

// Create makes a snapshot of what the user may export; see Library.Create. Of o, By, Holds and
// Source are set here.
func (d *Desk) Create(ctx context.Context, o CreateOptions) (*Info, error) {
	i, err := d.create(ctx, o)
	var size int64
	if i != nil {
		size = i.Size
	}
	d.did("create "+o.Name, size, err)
	return i, err
}

func (d *Desk) create(ctx context.Context, o CreateOptions) (*Info, error) {
	export, err := d.Scope(auth.Export)
	if err != nil {
		return nil, err
	}
	o.Holds, err = d.Scope(auth.Snapshot)
	if err != nil {
		return nil, err
	}
	if o.Holds = o.Holds.Intersect(export); o.Holds.Empty() {
		return nil, &auth.Refusal{User: d.User, Verb: auth.Snapshot, Why: fmt.Errorf("%w: there is no namespace whose packets you may both export and keep", auth.ErrRefused)}
	}
	source, end, err := d.Live(o.Holds)
	if err != nil {
		return nil, err
	}
	defer end()
	o.By, o.Source = d.User, source
	return d.Library.Create(ctx, o)
}

// Delete deletes a snapshot.
func (d *Desk) Delete(name string) error {
	i, err := d.may(name, auth.Snapshot)
	if err == nil {
		err = d.Library.Delete(i.Name)
	}
	d.did("delete "+name, 0, err)
	return err
}

// File opens a snapshot's file.
func (d *Desk) File(name string) (*os.File, error) {
	i, err := d.may(name, auth.Export)
	if err == nil && d.Spend != nil {
		err = d.Spend(int(i.Size))
	}
	if err != nil {
		return nil, err
	}
	return d.Library.File(i.Name)
}

// Bring begins to take a snapshot from the user.
func (d *Desk) Bring(name string) (*Bringing, error) {
	_, err := d.Scope(auth.Snapshot)
	var b *Brought
	if err == nil {
		b, err = d.Library.Bring(name, d.User)
	}
	if err != nil {
		d.did("bring "+name, 0, err)
		return nil, err
	}
	return &Bringing{Brought: b, d: d}, nil
}

// Bringing is a snapshot on its way from a user.
type Bringing struct {
	*Brought
	d *Desk
}

var errGivenUp = errors.New("the copy was given up")

// Keep is Brought.Keep.
func (b *Bringing) Keep(ctx context.Context) (*Info, error) {
	i, err := b.Brought.Keep(ctx)
	var size int64
	if i != nil {
		size = i.Size
	}
	b.d.did("bring "+b.name, size, err)
	return i, err
}

// Drop is Brought.Drop.
func (b *Bringing) Drop() {
	b.mu.Lock()
	ended := b.file == nil
	b.drop()
	b.mu.Unlock()
	if !ended {
		b.d.did("bring "+b.name, 0, errGivenUp)
	}
}
