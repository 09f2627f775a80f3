package dissect

import "errors"

// ErrNotMine is returned by a parser that was given a flow which is not in its protocol
// after all. Calls that it handed out stay.
var ErrNotMine = errors.New("not this protocol")
