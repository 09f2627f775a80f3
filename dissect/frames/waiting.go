package frames

// Item is a request that waits, with what its protocol knows of it.
type Item[K comparable, V any] struct {
	Value V
	Lost  bool // its response was missed, or may come yet; a Queue says so

	key          K
	kept         int         // bytes, in a Queue
	older, newer *Item[K, V] // newer also links those that are free
}

// Key is what its response names it by.
func (i *Item[K, V]) Key() K { return i.key }

// maxFree is how many items are kept for use again.
const maxFree = 8

// Waiting are the requests of a flow that wait for their responses, by key and by age. The
// zero value is empty. How many there may be is for its user to decide.
type Waiting[K comparable, V any] struct {
	byKey          map[K]*Item[K, V]
	oldest, newest *Item[K, V]
	free           *Item[K, V]
	nfree          int
}

// Get returns an item that does not wait. Its value is what it was when it was put back.
func (w *Waiting[K, V]) Get() *Item[K, V] {
	i := w.free
	if i == nil {
		return &Item[K, V]{}
	}
	w.free, i.newer = i.newer, nil
	w.nfree--
	return i
}

// Put takes an item that does not wait, to be used again.
func (w *Waiting[K, V]) Put(i *Item[K, V]) {
	if w.nfree < maxFree {
		i.newer, w.free = w.free, i
		w.nfree++
	}
}

// Add lets an item wait. No other one may have its key.
func (w *Waiting[K, V]) Add(key K, i *Item[K, V]) {
	if w.byKey == nil {
		w.byKey = map[K]*Item[K, V]{}
	}
	w.byKey[key] = i
	i.key, i.older, i.newer = key, w.newest, nil
	if w.newest != nil {
		w.newest.newer = i
	} else {
		w.oldest = i
	}
	w.newest = i
}

// Find returns the item that waits under a key, nil: there is none.
func (w *Waiting[K, V]) Find(key K) *Item[K, V] { return w.byKey[key] }

// Remove takes out an item that waits.
func (w *Waiting[K, V]) Remove(i *Item[K, V]) {
	delete(w.byKey, i.key)
	if i.older != nil {
		i.older.newer = i.newer
	} else {
		w.oldest = i.newer
	}
	if i.newer != nil {
		i.newer.older = i.older
	} else {
		w.newest = i.older
	}
	i.older, i.newer = nil, nil
}

// Oldest is the item that has waited longest, nil: none waits.
func (w *Waiting[K, V]) Oldest() *Item[K, V] { return w.oldest }

// Len is how many wait.
func (w *Waiting[K, V]) Len() int { return len(w.byKey) }
