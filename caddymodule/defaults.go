package caddymodule

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// Defaults are the policies and groups that the configuration keeps in the
// database, under the names that they have in the historical service's
// config.yml. They are put right when the configuration is loaded and the
// database can be reached. Where none of the three is given nothing is touched;
// where one is, what the two others do not have is wanted no more.
//
// Tokens keep the accesses they were issued with.
type Defaults struct {
	// DefaultPolicies are policies of the top tenant by slug, which is their
	// name as well. Every tenant sees them and nobody can change them through
	// the API. One that is not given any more is removed, unless a user or a
	// group has it.
	DefaultPolicies map[string]*DefaultPolicy `json:"default_policies,omitempty"`

	// AllUsersPolicies tells by slug which policies of the top tenant the
	// users of every tenant have: true gives one to the group of all users.
	AllUsersPolicies map[string]bool `json:"all_users_policies,omitempty"`

	// TenantDefaultGroups are groups that every tenant has, by slug.
	TenantDefaultGroups map[string]*DefaultGroup `json:"tenant_default_groups,omitempty"`
}

// DefaultPolicy is a policy that the configuration keeps.
type DefaultPolicy struct {
	// Description tells people what it is for. Default: Automatically created.
	Description string `json:"description,omitempty"`
	// ACL are its accesses.
	ACL []string `json:"acl,omitempty"`
	// Shared marks it as a shared one. Default false; it is seen in every
	// tenant anyway.
	Shared bool `json:"shared,omitempty"`
}

// DefaultGroup is a group that the configuration keeps in each tenant.
type DefaultGroup struct {
	// Name is what it is called where it has to be made. Default: its slug.
	Name string `json:"name,omitempty"`
	// Policies tells by slug which policies of the top tenant it has: true
	// gives one, false takes it away, others stay as they are.
	Policies map[string]bool `json:"policies,omitempty"`
}

// maxSlug is the size of the columns for slugs and names, in characters.
const maxSlug = 80

// loadDefaults checks them. It returns nil when none is given.
func (c *Defaults) loadDefaults() (*store.Defaults, error) {
	if c.DefaultPolicies == nil && c.AllUsersPolicies == nil && c.TenantDefaultGroups == nil {
		return nil, nil
	}
	d := &store.Defaults{AllUsers: c.AllUsersPolicies}
	for _, slug := range slices.Sorted(maps.Keys(c.DefaultPolicies)) {
		if err := checkSlug("default_policies", slug); err != nil {
			return nil, err
		}
		p := c.DefaultPolicies[slug]
		if p == nil {
			p = new(DefaultPolicy)
		}
		d.Policies = append(d.Policies, store.DefaultPolicy{Slug: slug, Description: p.Description, ACL: p.ACL, Shared: p.Shared})
	}
	for _, slug := range slices.Sorted(maps.Keys(c.TenantDefaultGroups)) {
		if err := checkSlug("tenant_default_groups", slug); err != nil {
			return nil, err
		}
		g := c.TenantDefaultGroups[slug]
		if g == nil {
			g = new(DefaultGroup)
		}
		d.Groups = append(d.Groups, store.DefaultGroup{Slug: slug, Name: g.Name, Policies: g.Policies})
	}
	return d, nil
}

func checkSlug(where, slug string) error {
	if n := utf8.RuneCountInString(slug); n < 1 || n > maxSlug {
		return fmt.Errorf("%s has the slug %q: it has 1 to %d characters", where, slug, maxSlug)
	}
	return nil
}

// fingerprint tells whether other defaults are to be synchronised.
func fingerprint(d *store.Defaults) string {
	text, err := json.Marshal(d)
	if err != nil { // plain texts always marshal
		return err.Error()
	}
	return string(text)
}

// tellSynced logs what came of it.
func tellSynced(log *slog.Logger, done *store.Synced) {
	if done == nil {
		return
	}
	if done.Changed > 0 {
		log.Info("default policies and groups are as the configuration has them", slog.Int("changed", done.Changed))
	}
	if len(done.MissingPolicies) > 0 {
		log.Warn("groups are to get policies that the top tenant does not have: add them to default_policies, or create them",
			slog.Any("slugs", done.MissingPolicies))
	}
	if len(done.Orphans) > 0 {
		log.Warn("policies that are not in default_policies any more are kept, since users or groups have them",
			slog.Any("slugs", done.Orphans))
	}
	if len(done.TakenGroups) > 0 {
		log.Warn("tenants have another group of a default group's name, and so not the default group: rename theirs",
			slog.Any("tenants", done.TakenGroups[:min(len(done.TakenGroups), maxNamed)]))
	}
}

// unmarshalPolicy parses default_policy of the global option xivo_auth. An
// access that begins with # is written in quotes: it is a comment otherwise.
func (c *Defaults) unmarshalPolicy(d *caddyfile.Dispenser) error {
	var slug string
	if err := word(&slug)(d); err != nil {
		return err
	}
	if _, twice := c.DefaultPolicies[slug]; twice {
		return d.Errf("default_policy %s is given twice", slug)
	}
	p := new(DefaultPolicy)
	put(&c.DefaultPolicies, slug, p)
	return block(d, "default_policy",
		option{name: "description", read: word(&p.Description)},
		option{name: "shared", read: flag(&p.Shared)},
		option{name: "acl", read: words(&p.ACL), many: true},
	)
}

// unmarshalGroup parses tenant_default_group of the global option xivo_auth.
func (c *Defaults) unmarshalGroup(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) < 1 || len(args) > 2 {
		return d.ArgErr()
	}
	if _, twice := c.TenantDefaultGroups[args[0]]; twice {
		return d.Errf("tenant_default_group %s is given twice", args[0])
	}
	g := &DefaultGroup{Policies: map[string]bool{}}
	if len(args) == 2 {
		g.Name = args[1]
	}
	put(&c.TenantDefaultGroups, args[0], g)
	return block(d, "tenant_default_group", option{name: "policy", read: onOff(&g.Policies), many: true})
}

// onOff reads <slug> [off].
func onOff(to *map[string]bool) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		args := d.RemainingArgs()
		if len(args) < 1 || len(args) > 2 || len(args) == 2 && args[1] != "off" {
			return d.ArgErr()
		}
		if _, twice := (*to)[args[0]]; twice {
			return d.Errf("the policy %s is given twice", args[0])
		}
		put(to, args[0], len(args) == 1)
		return nil
	}
}
