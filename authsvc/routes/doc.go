// Package routes tells what a request needs before it may pass: a table from
// method and path to the required access, and the one canonical form of a path
// that the guard, the forward-auth endpoint, explain and lint all decide on.
//
// Two servers that read one path in two ways are how most proxies in front of
// an application were got around (docs/guard.md), so nothing here is lenient:
// what could be read in two ways is refused, and what no route matches is not
// allowed unless the table's owner says so.
package routes
