package openapi

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/routes"
)

func TestLint(t *testing.T) {
	t.Parallel()
	doc, rows := overlaid(t)
	prefix, _ := routes.ParsePrefix("/api/shop")
	bare := Lint("shop", doc, nil, prefix)
	if bare.Unsettled() != 12 || len(bare.Problems) != 11 || bare.Operations != 18 || bare.Routes != 18 || len(bare.Changes) != 0 {
		t.Errorf("%+v", bare)
	}
	if want := []Missing{{
		"GET /0.1/buyers/{buyer_uuid}/cart", "shop.buyers.{buyer_uuid}.carts.{cart_id}.read", []string{"cart_id"},
		"shop,GET,/api/shop/0.1/buyers/{buyer_uuid}/cart,token,",
	}}; len(bare.Missing) != 1 || bare.Missing[0].Suggestion != want[0].Suggestion || bare.Missing[0].Route != want[0].Route || !slices.Equal(bare.Missing[0].Names, want[0].Names) {
		t.Errorf("%+v, want %+v", bare.Missing, want)
	}
	if len(bare.Mapped) != 1 || bare.Mapped[0].Route != "GET /0.1/buyers/{buyer_uuid}/items/{itemid}" || bare.Mapped[0].Names[0] != "{item_id} is {itemid}" {
		t.Errorf("%+v", bare.Mapped)
	}
	if want := (Overlap{"GET", "/0.1/items/export", "/0.1/items/{item_id}", false}); len(bare.Overlaps) != 1 || bare.Overlaps[0] != want {
		t.Errorf("%+v, want %+v", bare.Overlaps, want)
	}
	if !slices.Equal(bare.Public, []string{"GET /0.1/wizard"}) || bare.ACLs != 12 || bare.Denied != 5 || bare.Tokens != 0 {
		t.Errorf("%+v", bare)
	}

	laid := Lint("shop", doc, rows, prefix)
	if len(laid.Problems) != 9 || len(laid.Missing) != 0 || len(laid.Mapped) != 0 || len(laid.Changes) != 6 || len(laid.Undocumented) != 1 {
		t.Errorf("%+v", laid)
	}
	if laid.Tokens != 1 || !slices.Equal(laid.Public, []string{"DELETE /0.1/items/{a}", "OPTIONS /0.1/wizard"}) {
		t.Errorf("%+v", laid)
	}
}

// The conflicts of a table are told, and a clean one passes.
func TestLint_Conflicts(t *testing.T) {
	t.Parallel()
	lint := func(paths string) *Report {
		t.Helper()
		doc, err := Import([]byte("swagger: '2.0'\npaths:\n" + paths))
		if err != nil {
			t.Fatal(err)
		}
		return Lint("x", doc, nil, nil)
	}
	if r := lint("  /a: {get: {description: 'Required ACL: `a.b`'}}\n"); r.Unsettled() != 0 || r.ACLs != 1 {
		t.Errorf("%+v", r)
	}
	r := lint(`  /a/{x}/c: {get: {description: 'Required ACL: xx.a'}}
  /{x}/b/c: {get: {description: 'Required ACL: xx.b'}}
  /{y}/b/c: {get: {description: 'Required ACL: xx.c'}}
  /x.{y}: {get: {description: 'Required ACL: xx.d'}}
  /a/: {put: {description: 'Required ACL: xx.e'}}
  /a/{x}: {put: {description: 'Required ACL: xx.f'}}
`)
	if r.Unsettled() != 2 || len(r.Conflicts) != 2 || !r.Conflicts[1].Lost || r.Conflicts[0].Lost {
		t.Errorf("%+v", r.Conflicts)
	}
	if len(r.Overlaps) != 2 || r.Overlaps[0] != (Overlap{"GET", "/a/{x}/c", "/{x}/b/c", true}) {
		t.Errorf("%+v", r.Overlaps)
	}
}

func TestReport_Write(t *testing.T) {
	t.Parallel()
	doc, rows := overlaid(t)
	r := Lint("shop", doc, rows, nil)
	r.Public = append(r.Public, "GET /\x1b[31m\u202e")
	var b bytes.Buffer
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"shop: 18 operations imported; 19 routes: 13 with an ACL, 1 token, 3 public, 3 denied\n",
		"\nCould not be read (9)\n  Denied or not known. An overlay row settles it.\n  - line 60: TRACE /api/shop/0.1/odd states an ACL that cannot be read",
		"\nChanged by the overlay (6)\n  - line 3: PATCH",
		"\nKnown to the overlay only (1)\n  - line 11: GET /api/shop/0.1/hidden/{buyer_uuid}/{n}: shop.hidden.{n}.read\n",
		"\nOverlapping paths (1)\n  - GET /api/shop/0.1/items/export wins over /api/shop/0.1/items/{id}\n",
		"\nPublic (3)\n  No token is asked for.\n",
		"  - GET /\ufffd[31m\ufffd\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("there is no %q in\n%s", want, b.String())
		}
	}
	b.Reset()
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var back map[string]any
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	for _, list := range []string{"problems", "missing_values", "conflicts", "mapped_parameters", "changes", "undocumented", "overlaps", "public"} {
		if _, is := back[list].([]any); !is {
			t.Errorf("%s is %v", list, back[list])
		}
	}
}
