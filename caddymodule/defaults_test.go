package caddymodule

import (
	"strings"
	"testing"
)

// What the configuration wants is in the database when it is loaded, changes
// with a reload, and is told where it cannot be had.
func TestDefaults_LoadedAndReloaded(t *testing.T) {
	n := newNode(t)
	const rest = "\ndefault_user_policy everybody\nall_users_policy everybody\nall_users_policy nowhere\ntenant_default_group admins {\n policy everybody\n}"
	n.start("default_policy everybody {\n acl first.read me.too\n}"+rest, sites)
	acl := func() string { _, answer := n.login("alice", alicePassword); return answer }
	first := acl()
	if !strings.Contains(first, `"first.read"`) || !strings.Contains(first, `"me.too"`) {
		t.Errorf("the policy of the configuration is not in a new token: %s", first)
	}
	logs := n.logs()
	if !strings.Contains(logs, "are as the configuration has them") || !strings.Contains(logs, "nowhere") {
		t.Error("what was done, or could not be, is not told")
	}

	before := n.service()
	n.start("default_policy everybody {\n acl second.read\n}"+rest, sites)
	if n.service() != before {
		t.Error("other defaults are another service")
	}
	if got := acl(); !strings.Contains(got, `"second.read"`) || strings.Contains(got, `"first.read"`) {
		t.Errorf("after a reload: %s", got)
	}

	// The same again writes nothing.
	told := strings.Count(n.logs(), "are as the configuration has them")
	n.start("default_policy everybody {\n acl second.read\n}"+rest, sites)
	if got := strings.Count(n.logs(), "are as the configuration has them"); got != told {
		t.Errorf("told %d times, was %d", got, told)
	}

	// A configuration without any of it touches nothing.
	n.start("default_user_policy everybody", sites)
	if got := acl(); !strings.Contains(got, `"second.read"`) {
		t.Errorf("without defaults: %s", got)
	}
}

// While the database is down a reload with other defaults goes through, and they
// are there as soon as it is back.
func TestDefaults_Heal(t *testing.T) {
	n := newNode(t)
	n.start("", sites)
	n.switches().down.Store(true)
	const app = "default_user_policy late\ndefault_policy late {\n acl late.read\n}"
	if err := n.load("startup_check require\n"+app, sites); err == nil {
		t.Error("startup_check require takes defaults that are not there")
	}
	if err := n.load(app, sites); err != nil {
		t.Fatal(err)
	}
	n.switches().down.Store(false)
	eventually(t, "the defaults are there", func() bool {
		_, answer := n.login("alice", alicePassword)
		return strings.Contains(answer, `"late.read"`)
	})
}

func TestDefaults_Refused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", maxSlug)
	for name, c := range map[string]struct {
		defaults Defaults
		ok       bool
	}{
		"none":              {Defaults{}, true},
		"longest slug":      {Defaults{DefaultPolicies: map[string]*DefaultPolicy{long: nil}}, true},
		"slug too long":     {Defaults{DefaultPolicies: map[string]*DefaultPolicy{long + "x": nil}}, false},
		"no slug":           {Defaults{TenantDefaultGroups: map[string]*DefaultGroup{"": nil}}, false},
		"null group":        {Defaults{TenantDefaultGroups: map[string]*DefaultGroup{"g": nil}}, true},
		"of all users only": {Defaults{AllUsersPolicies: map[string]bool{}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := c.defaults.loadDefaults()
			if c.ok != (err == nil) {
				t.Errorf("error %v", err)
			}
			if (d == nil) != (name == "none" || !c.ok) {
				t.Errorf("defaults %+v", d)
			}
		})
	}
}
