package grant

// State tells where an answer about a token came from. It is a closed set, fit
// for a metric label.
type State uint8

// The states.
const (
	Hit      State = iota // from memory
	Miss                  // read from the store
	Negative              // known from memory not to exist
	Degraded              // from memory although too old, since the store is down
	Refused               // not the text of a token at all; nothing was asked

	// States is how many there are.
	States = iota
)

// String returns the label of s.
func (s State) String() string {
	return [States]string{"hit", "miss", "negative", "degraded", "refused"}[s]
}
