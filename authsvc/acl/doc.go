// Package acl decides what an access list allows.
//
// An access list is the list of dotted patterns frozen into a token when it is
// issued, for instance "confd.users.*.read", "calld.users.me.#" or
// "!auth.users.*.password.edit". [Compile] turns such a list into an immutable
// [ACL]; [ACL.Match] tells whether it covers the access a route requires.
//
// The rules come from the contract page "ACL semantics" (contract/acl.md; the
// section numbers in the comments of this package are its own):
//
//   - "!" as the first character makes an access negative; a negative that
//     matches refuses whatever the positives say (§2.1, §3).
//   - "*" stands for any bytes but '.' and '#', a line feed included (§2.2).
//   - "#" stands for any bytes but a line feed (§2.2).
//   - "me", "my_session" and "edit" standing alone between dots also mean the
//     caller's own id, the caller's own session and "update" (§2.3).
//   - Everything else is literal, and the whole text has to match, give or take
//     one trailing line feed (§2.4).
//
// One deliberate difference with the reference: ids are literal text here,
// where the reference pastes them into a regular expression. Only ids that no
// deployment has (regular expression fragments) can tell the two apart.
//
// # How it works
//
// Accesses are cut at their dots and share their beginnings in two tries, one
// of positives and one of negatives, so that a list of thousands costs little
// more than a list of ten. What cannot be decided one segment at a time ("b*r",
// or "#" before the end) becomes a small program hung on the node where it
// begins; programs run over sets of positions and never backtrack. A match
// therefore has no exponential case, whoever wrote the list or the text, and
// does not allocate.
//
// Work is done on bytes. All special characters are ASCII, so bytes and code
// points give the same verdicts on UTF-8 text.
package acl
