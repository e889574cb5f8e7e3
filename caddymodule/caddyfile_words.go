package caddymodule

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// option is what may stand in a block: a word, and what reads the line and the
// block that follow it.
type option struct {
	name string
	read func(*caddyfile.Dispenser) error
	many bool // it may be given more than once
}

// block reads the block of what is called of, to its end. An option that is
// given twice is refused, since the second would silently win, and so is a
// block after an option that takes none, whose lines would count as ours.
func block(d *caddyfile.Dispenser, of string, options ...option) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	given := map[string]bool{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		if name == "{" {
			return d.Err("the option before this block takes none")
		}
		i := slices.IndexFunc(options, func(o option) bool { return o.name == name })
		if i < 0 {
			return d.Errf("unknown option %q of %s: it is %s", name, of, oneOf(options))
		}
		if given[name] && !options[i].many {
			return d.Errf("%s is given twice", name)
		}
		given[name] = true
		if err := options[i].read(d); err != nil {
			return err
		}
	}
	return nil
}

func oneOf(options []option) string {
	names := make([]string, len(options))
	for i, o := range options {
		names[i] = o.name
	}
	if len(names) == 1 {
		return names[0]
	}
	return "one of " + strings.Join(names, ", ")
}

// guest parses a module named by the next argument, and its options.
func guest(d *caddyfile.Dispenser, namespace, key string) (name string, raw json.RawMessage, err error) {
	if !d.NextArg() {
		return "", nil, d.ArgErr()
	}
	name = d.Val()
	mod, err := caddyfile.UnmarshalModule(d, namespace+name)
	if err != nil {
		return "", nil, err
	}
	return name, caddyconfig.JSONModuleObject(mod, key, name, nil), nil
}

// word reads an option that is one word.
func word(to *string) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		if !d.AllArgs(to) {
			return d.ArgErr()
		}
		return nil
	}
}

// words reads an option that is one word or more; given again, it adds them.
func words(to *[]string) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		args := d.RemainingArgs()
		if len(args) == 0 {
			return d.ArgErr()
		}
		*to = append(*to, args...)
		return nil
	}
}

// parsed reads an option that is one word, by what parses that.
func parsed[T any](to *T, parse func(d *caddyfile.Dispenser, text string) (T, error)) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) (err error) {
		var text string
		if err = word(&text)(d); err != nil {
			return err
		}
		*to, err = parse(d, text)
		return err
	}
}

func duration(to *caddy.Duration) func(*caddyfile.Dispenser) error { return parsed(to, parseDuration) }

func parseDuration(d *caddyfile.Dispenser, text string) (caddy.Duration, error) {
	v, err := caddy.ParseDuration(text)
	if err != nil {
		return 0, d.Errf("%q is not a duration: %v", text, err)
	}
	return caddy.Duration(v), nil
}

func count(to *int) func(*caddyfile.Dispenser) error { return parsed(to, parseCount) }

func parseCount(d *caddyfile.Dispenser, text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, d.Errf("%q is not a positive number", text)
	}
	return n, nil
}

// choice reads an option that is one of several words.
func choice(to *string, words ...string) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		if err := word(to)(d); err != nil {
			return err
		}
		if slices.Contains(words, *to) {
			return nil
		}
		return d.Errf("%s is one of %s, not %q", name, strings.Join(words, ", "), *to)
	}
}

// flag reads an option that takes nothing.
func flag(to *bool) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		*to = true
		if d.NextArg() {
			return d.ArgErr()
		}
		return nil
	}
}

// off reads what may follow the name of what is on unless told so: off, or a
// block, which is left to the caller.
func off(d *caddyfile.Dispenser, to *bool) (done bool, err error) {
	name := d.Val()
	if !d.NextArg() {
		return false, nil
	}
	if d.Val() != "off" || d.NextArg() {
		return true, d.Errf("%s takes off, or a block", name)
	}
	*to = true
	return true, nil
}

// put puts into a map that may have to be made.
func put[T any](m *map[string]T, key string, value T) {
	if *m == nil {
		*m = map[string]T{}
	}
	(*m)[key] = value
}
