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

// once refuses options that are given twice, since the second would silently
// win, and blocks after options that take none.
type once map[string]bool

func (o once) mark(d *caddyfile.Dispenser, option string) error {
	if option == "{" {
		return d.Err("the option before this block takes none")
	}
	if o[option] {
		return d.Errf("%s is given twice", option)
	}
	o[option] = true
	return nil
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

func word(d *caddyfile.Dispenser, to *string) error {
	if !d.AllArgs(to) {
		return d.ArgErr()
	}
	return nil
}

func duration(d *caddyfile.Dispenser, to *caddy.Duration) (err error) {
	var text string
	if err := word(d, &text); err != nil {
		return err
	}
	*to, err = parseDuration(d, text)
	return err
}

func parseDuration(d *caddyfile.Dispenser, text string) (caddy.Duration, error) {
	v, err := caddy.ParseDuration(text)
	if err != nil {
		return 0, d.Errf("%q is not a duration: %v", text, err)
	}
	return caddy.Duration(v), nil
}

func count(d *caddyfile.Dispenser, to *int) (err error) {
	var text string
	if err := word(d, &text); err != nil {
		return err
	}
	*to, err = parseCount(d, text)
	return err
}

func parseCount(d *caddyfile.Dispenser, text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, d.Errf("%q is not a positive number", text)
	}
	return n, nil
}

// choice parses one of several words.
func choice(d *caddyfile.Dispenser, to *string, words ...string) error {
	option := d.Val()
	if err := word(d, to); err != nil {
		return err
	}
	if slices.Contains(words, *to) {
		return nil
	}
	return d.Errf("%s is one of %s, not %q", option, strings.Join(words, ", "), *to)
}

// flag parses an option that takes nothing.
func flag(d *caddyfile.Dispenser, to *bool) error {
	*to = true
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}
