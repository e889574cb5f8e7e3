package storetest

import (
	"slices"
	"sync"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

var indexCases = map[string]func(*testing.T, *bench){
	"Indexes/ComeAndGo": testIndexesComeAndGo,
	"Indexes/AtOnce":    testIndexesAtOnce,
	"Indexes/NoTables":  testIndexesNoTables,
}

func testIndexesComeAndGo(t *testing.T, b *bench) {
	missing, err := b.MissingIndexes(t.Context())
	must(t, "MissingIndexes", err)
	if len(missing) == 0 {
		t.Fatal("a new schema has them: it is to be as the reference makes it")
	}
	// One was made before; only the others are.
	b.exec(`create index ` + missing[0] + ` on auth_user_group (user_uuid)`)
	made, err := b.InstallIndexes(t.Context())
	must(t, "InstallIndexes", err)
	equal(t, "made", made, missing[1:])
	for range 2 {
		none, err := b.MissingIndexes(t.Context())
		must(t, "MissingIndexes", err)
		equal(t, "missing", none, nil)
		made, err := b.InstallIndexes(t.Context())
		must(t, "InstallIndexes again", err)
		equal(t, "made again", made, nil)
	}
	for range 2 {
		must(t, "RemoveIndexes", b.RemoveIndexes(t.Context()))
	}
	all, err := b.MissingIndexes(t.Context())
	must(t, "MissingIndexes", err)
	equal(t, "missing in the end", all, missing)
}

func testIndexesAtOnce(t *testing.T, b *bench) {
	var mu sync.Mutex
	var errs []error
	b.together(4, func(_ int, s store.Store) {
		if _, err := s.InstallIndexes(t.Context()); err != nil {
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		}
	})
	equal(t, "errors", errs, nil)
	missing, err := b.MissingIndexes(t.Context())
	must(t, "MissingIndexes", err)
	equal(t, "missing", missing, nil)
}

func testIndexesNoTables(t *testing.T, b *bench) {
	b.exec(`drop table auth_user_group`)
	made, err := b.InstallIndexes(t.Context())
	want(t, "InstallIndexes", err, store.ErrSchema)
	if slices.Contains(made, "xivo_edge_user_group_user") {
		t.Errorf("made %v", made)
	}
}
