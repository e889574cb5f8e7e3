package acl_test

import (
	"fmt"
	"os"
	"strings"

	"github.com/wazo-edge/xivo-auth/authsvc/acl"
)

func Example() {
	a := acl.Compile([]string{"calld.users.me.#", "confd.users.*.read", "!confd.users.root.read"})
	self := acl.Self{AuthID: []byte("alice"), SessionID: []byte("s-1")}

	fmt.Println(a.Match("calld.users.alice.calls.create", self))
	fmt.Println(a.Match("calld.users.bob.calls.create", self))
	fmt.Println(a.Match("confd.users."+acl.Escape("b.o.b")+".read", self))
	fmt.Println(a.Match("confd.users.root.read", self))
	// Output:
	// true
	// false
	// true
	// false
}

func ExampleACL_MayAdd() {
	a := acl.Compile([]string{"confd.users.*"})

	fmt.Println(a.MayAdd("confd.users.*", acl.Self{}))     // what one holds
	fmt.Println(a.MayAdd("confd.users.#", acl.Self{}))     // more than one holds
	fmt.Println(a.MayAdd("!calld.calls", acl.Self{}))      // a restriction
	fmt.Println(a.MayRemove("!confd.users.x", acl.Self{})) // lifting one that is covered
	// Output:
	// true
	// false
	// true
	// true
}

func ExampleMatchLines() {
	questions := strings.NewReader(`
{"acl": ["auth.users.me.*"], "auth_id": "alice", "required": "auth.users.alice.read"}
{"acl": ["auth.users.me.*"], "auth_id": "alice", "required": "auth.users.bob.read"}
`)
	if err := acl.MatchLines(questions, os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// allow
	// deny
}
