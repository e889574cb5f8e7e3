package main

import (
	"database/sql"
	"testing"
)

// answers reports whether a server listens at dsn.
func answers(t *testing.T, dsn string) bool {
	t.Helper()
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	return db.PingContext(t.Context()) == nil
}
