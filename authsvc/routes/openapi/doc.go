// Package openapi makes a list of routes out of a service's API description
// and an overlay that corrects it.
//
// The descriptions of the stack (Swagger 2.0; OpenAPI 3 is read as well) say in
// prose which access an operation needs, in many spellings and not always
// rightly. So nothing is guessed here: an operation whose prose does not say it
// beyond doubt is a route that denies, and is reported; the overlay, a table
// people write and review, says what holds instead.
//
// Files come from whoever runs the guard, yet often straight from a vendor.
// They are read with bounds on size and work, and nothing in them makes this
// package open another file or panic.
package openapi
