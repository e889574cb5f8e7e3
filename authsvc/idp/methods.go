// Package idp is the identity provider resource: which ways to authenticate
// users there are, and who uses which (contract: routes.yml).
package idp

import (
	"slices"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// Methods are the ways to authenticate a user, as they can be set for users
// and tenants: never nil, in the order in which clients are shown them.
type Methods []string

// Providers are the identity providers that there are unless the operator says
// otherwise.
var Providers = []string{store.MethodSAML, store.MethodLDAP}

// NewMethods returns what is always there, the password kept here and the
// default of the tenant, and the identity providers.
func NewMethods(providers []string) Methods {
	return append(Methods{store.MethodNative, store.MethodDefault}, providers...)
}

// Has reports whether name is one of m.
func (m Methods) Has(name string) bool { return slices.Contains(m, name) }
