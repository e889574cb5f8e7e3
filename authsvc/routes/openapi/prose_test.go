package openapi

import (
	"strings"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/routes"
)

// Every way in which the required access is known to be spelled, and what must
// not be taken for one.
func TestProse(t *testing.T) {
	t.Parallel()
	const public, unreadable, no, two = "public", "!unreadable_acl", "!no_acl", "!two_acls"
	for _, c := range []struct{ text, want string }{
		// Spellings.
		{"**Required ACL:** `shop.items.{item_id}.read`", "shop.items.{item_id}.read"},
		{"**Required ACL**: `shop.items.read`", "shop.items.read"},
		{"**Required ACL:**: `shop.items.read`", "shop.items.read"},
		{"**Required ACL** `shop.items.read`", "shop.items.read"},
		{"**required_acl**: `shop.items.read`", "shop.items.read"},
		{"**REQUIRED ACL:** `shop.items.read`", "shop.items.read"},
		{"Required ACL: `shop.items.read`", "shop.items.read"},
		{"required acl `shop.items.read`", "shop.items.read"},
		{"Required-ACL: shop.items.read", "shop.items.read"},
		{"*Required ACL:* `shop.items.read`", "shop.items.read"},
		{"__Required ACL:__ `shop.items.read`", "shop.items.read"},
		{"<b>Required ACL:</b> `shop.items.read`", "shop.items.read"},
		{"<b>Required ACL</b>: <code>shop.items.read</code>", "shop.items.read"},
		{"### Required ACL\n\n`shop.items.read`", "shop.items.read"},
		{"**Required\u00a0ACL:**\u00a0`shop.items.read`", "shop.items.read"},
		{"Required ACL = shop.items.read", "shop.items.read"},
		{"The required ACL is `shop.items.read`.", "shop.items.read"},
		{"**Required ACL:** ``shop.items.read``", "shop.items.read"},
		{"**Required ACL:** shop.items.read", "shop.items.read"},
		{"**Required ACL: shop.items.read**", "shop.items.read"},
		{"**Required ACL:** \"shop.items.read\"", "shop.items.read"},
		{"'**Required ACL:** `shop.items.read`'", "shop.items.read"},
		{"“Required ACL: ‘shop.items.read’”", "shop.items.read"},
		{"**Required ACL:** `shop`", "shop"},
		{"**Required ACL:** `Shop.by-id.{item_id}.Read`", "Shop.by-id.{item_id}.Read"},
		// A backtick is missing.
		{"**Required ACL:** `shop.items.read", "shop.items.read"},
		{"**Required ACL:** `shop.items.read\n\nMore.", "shop.items.read"},
		{"**Required ACL:** `shop.items.read. More.", "shop.items.read"},
		{"**Required ACL:** `shop.items.read Use `GET /x` instead", "shop.items.read"},
		{"**Required ACL:** shop.items.read`. Use the `POST /items` API.", "shop.items.read"},
		// Prose after it, and around it.
		{"**Required ACL:** `shop.items.read`. It lists.", "shop.items.read"},
		{"**Required ACL:** `shop.items.read`, Listing is slow", "shop.items.read"},
		{"**Required ACL:** `shop.items.read`, e.g. `shop.items.hello`", "shop.items.read"},
		{"**Required ACL:** `shop.items.read` Use the `POST /items`", "shop.items.read"},
		{"**Required ACL:** `shop.items.read` and `POST /items`", "shop.items.read"},
		{"**Required ACL:** shop.items.read.", "shop.items.read"},
		{"**Required ACL:** shop.items.read, or so", "shop.items.read"},
		{"Lists.\n\nThe `tenant.uuid` says whose.\n**Required ACL:** `shop.items.read`\n\n**Warning:** old\n", "shop.items.read"},
		{" **Required ACL:** `shop.items.read`\r\n\r\n**Warning:** old", "shop.items.read"},
		{"**Required ACL:** `shop.items.read`\n\nWho has the required ACL sees all.", "shop.items.read"},
		{"**Required ACL:** `shop.items.read`\n\n- `a.b`: a parameter", "shop.items.read"},
		{"**Required ACL:** `a.read`. Required ACL: `a.read`", "a.read"},
		// Nothing is needed.
		{"**Required ACL:** none", public},
		{"**Required ACL:** None.", public},
		{"**Required ACL:** `none`", public},
		{"**Required ACL**: NONE\n\nOnly before the wizard has run.", public},
		{"**Required ACL:** none. In a shop, at most 128.", public},
		{"**Required ACL:** none (guests have no token)", public},
		{"**Required ACL:** `none", public},
		// Not so clear.
		{"**Required ACL:** none of the below", unreadable},
		{"**Required ACL:** none for guests, `shop.read` for others", unreadable},
		{"**Required ACL:** none.of.it", unreadable},
		{"**Required ACL:**", unreadable},
		{"**Required ACL:** see below", unreadable},
		{"**Required ACL:** depends on the body", unreadable},
		{"**Required ACL:** e.g. shop.items.read", unreadable},
		{"**Required ACL:** `public`", unreadable},
		{"**Required ACL:** `token`", unreadable},
		{"**Required ACL:** `deny`", unreadable},
		{"**Required ACL:** `shop.items.`", unreadable},
		{"**Required ACL:** `shop..read`", unreadable},
		{"**Required ACL:** `.read`", unreadable},
		{"**Required ACL:** `shop.items. read`", unreadable},
		{"**Required ACL:** `shop.items.{item id}.read`", unreadable},
		{"**Required ACL:** `shop.items.{item_id.read`", unreadable},
		{"**Required ACL:** `shop.items.item_id}.read`", unreadable},
		{"**Required ACL:** `shop.items.{}.read`", unreadable},
		{"**Required ACL:** `shop.items.{{a}}.read`", unreadable},
		{"**Required ACL:** `shop.*`", unreadable},
		{"**Required ACL:** shop.*", unreadable},
		{"**Required ACL:** `shop.#`", unreadable},
		{"**Required ACL:** `shop.itéms.read`", unreadable},
		{"**Required ACL:** `!shop.items.read`", unreadable},
		{"**Required ACL:** shop.items...", unreadable},
		{"**Required ACL:** `" + strings.Repeat("a.", maxACL/2) + "b`", unreadable},
		{strings.Repeat(" ", maxProse+1), unreadable},
		{"**Required ACL:** `a.read`\n**Required ACL:** ?", unreadable},
		{"Lists.", no},
		{"", no},
		{"Only with the required ACL.", no},
		{"required_acl_template says it: `a.read`", no},
		{"unrequired ACL: `a.read`", no},
		{"Required aclaim: `a.read`", no},
		{"**Required ACL:** `a.read` or `b.read`", two},
		{"**Required ACL:** `a.read`, `b.read`", two},
		{"**Required ACL:** `a.read` and/or shop.read", two},
		{"**Required ACL:** shop.read or shop.write", two},
		{"**Required ACL:** `a.read`/`b.read`", two},
		{"**Required ACL:** `a.read` and, `a.read`, or `b.read`", two},
		{"**Required ACLs:**\n\n- `a.read`\n- `b.read`\n", two},
		{"**Required ACL:** `a.read`\n\n**Required ACL:** `b.read`", two},
		{"**Required ACL:** none\n\nRequired ACL: `b.read`", two},
	} {
		got := readProse(c.text)
		if s := demand(got); s != c.want {
			t.Errorf("%.80q\nreads %s %s, want %s", c.text, s, got.detail, c.want)
		}
	}
}

func demand(s said) string {
	switch {
	case s.reason != "":
		return "!" + string(s.reason)
	case s.kind == routes.Access:
		return s.acl
	}
	return s.kind.String()
}

// A summary that says otherwise than the description is not passed over.
func TestProse_Texts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ description, summary, want string }{
		{"Required ACL: `a.read`", "Lists", "a.read"},
		{"Lists", "Required ACL: `a.read`", "a.read"},
		{"Required ACL: `a.read`", "Required ACL: `a.read`", "a.read"},
		{"Required ACL: `a.read`", "Required ACL: none", "!two_acls"},
		{"Required ACL: none", "Required ACL: see below", "!unreadable_acl"},
	} {
		if got := demand(readProse(c.description, c.summary)); got != c.want {
			t.Errorf("%q, %q: %s, want %s", c.description, c.summary, got, c.want)
		}
	}
	if s := readProse("Required ACL: `a.read` or `b.read`"); s.detail != "a.read and b.read" {
		t.Errorf("detail %q", s.detail)
	}
	if s := readProse("x\nRequired ACL: see\nbelow"); s.detail != `"Required ACL: see"` {
		t.Errorf("detail %q", s.detail)
	}
}
