package store

import "context"

// Methods sets how users authenticate.
type Methods interface {
	// SetUserMethods sets the authentication method of these users. Those who
	// do not exist are left out.
	SetUserMethods(ctx context.Context, userUUIDs []string, method string) error
	// ResetUserMethod sets it to [MethodDefault] when it is method.
	ResetUserMethod(ctx context.Context, userUUID, method string) error
}
