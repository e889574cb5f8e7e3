package form

import (
	"fmt"
	"strings"
)

// Entry is what is filed under a field that failed: a [Problem], [Messages]
// or, for an object or list inside, a [Dict].
type Entry interface{ entry() }

func (Problem) entry()  {}
func (Messages) entry() {}
func (Dict) entry()     {}

// Problem is one failed check.
type Problem struct {
	Message string
	ID      string // constraint_id on the wire
	// Constraint is what was asked: a string, a number, a [Dict], …
	Constraint any

	// bound tells a check of an acceptable type from the type check itself;
	// the two were written by different hands and order their keys
	// differently.
	bound bool
}

// Messages lists failed checks: each is a [Problem] or a plain string.
type Messages []any

func (p Problem) dict() Dict {
	if p.bound {
		return Dict{{"constraint_id", p.ID}, {"constraint", p.Constraint}, {"message", p.Message}}
	}
	return Dict{{"message", p.Message}, {"constraint_id", p.ID}, {"constraint", p.Constraint}}
}

var (
	required  = Problem{Message: "Missing data for required field.", ID: "required", Constraint: "required"}
	notNull   = Problem{Message: "Field may not be null.", ID: "not_null", Constraint: "not_null"}
	notObject = Problem{Message: "Invalid type.", ID: "type", Constraint: "dict"}
)

// WrongType is the problem of a value that is no noun at all, such as
// "email address"; name is the type's short name, such as "email".
func WrongType(noun, name string) Problem {
	return Problem{Message: "Not a valid " + noun + ".", ID: "type", Constraint: name}
}

func lengthProblem(minimum, maximum int) Problem {
	p := Problem{ID: "length", bound: true}
	limits := Dict{{"min", nil}, {"max", nil}}
	if minimum > 0 {
		limits[0].Value = minimum
	}
	if maximum > 0 {
		limits[1].Value = maximum
	}
	p.Constraint = limits
	switch {
	case maximum == 0:
		p.Message = fmt.Sprintf("Shorter than minimum length %d.", minimum)
	case minimum == 0:
		p.Message = fmt.Sprintf("Longer than maximum length %d.", maximum)
	default:
		p.Message = fmt.Sprintf("Length must be between %d and %d.", minimum, maximum)
	}
	return p
}

// rangeProblem names only the bounds that exist, unlike lengthProblem.
func rangeProblem(minimum, maximum *int64) Problem {
	var limits Dict
	var parts []string
	if minimum != nil {
		limits = append(limits, Item{"min", *minimum})
		parts = append(parts, fmt.Sprintf("greater than or equal to %d", *minimum))
	}
	if maximum != nil {
		limits = append(limits, Item{"max", *maximum})
		parts = append(parts, fmt.Sprintf("less than or equal to %d", *maximum))
	}
	return Problem{
		Message:    "Must be " + strings.Join(parts, " and ") + ".",
		ID:         "range",
		Constraint: limits,
		bound:      true,
	}
}

func choiceProblem(words []string) Problem {
	return Problem{
		Message:    "Must be one of: " + strings.Join(words, ", ") + ".",
		ID:         "enum",
		Constraint: Dict{{"choices", words}},
		bound:      true,
	}
}

func patternProblem(pattern string) Problem {
	return Problem{
		Message:    "String does not match expected pattern.",
		ID:         "regex",
		Constraint: pattern,
		bound:      true,
	}
}
