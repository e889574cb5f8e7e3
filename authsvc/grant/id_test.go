package grant_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/grant"
)

const someToken = "01234567-89ab-4cde-8f01-23456789abcd"

func TestParseID(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in string
		ok       bool
	}{
		{"canonical", someToken, true},
		{"not of version 4", "01234567-89ab-1cde-0f01-23456789abcd", true},
		{"nil uuid", "00000000-0000-0000-0000-000000000000", true},
		{"all ones", "ffffffff-ffff-ffff-ffff-ffffffffffff", true},
		{"empty", "", false},
		{"upper case", strings.ToUpper(someToken), false},
		{"one upper case digit", "01234567-89ab-4cde-8f01-23456789abcD", false},
		{"undashed", strings.ReplaceAll(someToken, "-", ""), false},
		{"braces", "{" + someToken + "}", false},
		{"urn", "urn:uuid:" + someToken, false},
		{"leading space", " " + someToken, false},
		{"trailing space", someToken + " ", false},
		{"trailing line feed", someToken + "\n", false},
		{"space for a digit", "01234567-89ab-4cde-8f01-23456789abc ", false},
		{"trailing NUL", someToken + "\x00", false},
		{"NUL for a digit", "01234567-89ab-4cde-8f01-23456789abc\x00", false},
		{"one short", someToken[:35], false},
		{"dash moved", "0123456-789ab-4cde-8f01-23456789abcd", false},
		{"dash for a digit", "-1234567-89ab-4cde-8f01-23456789abcd", false},
		{"underscore for a dash", "01234567_89ab-4cde-8f01-23456789abcd", false},
		{"letter past f", "01234567-89ab-4cde-8f01-23456789abcg", false},
		{"colon, the byte after 9", "0123456:-89ab-4cde-8f01-23456789abcd", false},
		{"slash, the byte before 0", "0123456/-89ab-4cde-8f01-23456789abcd", false},
		{"backquote, the byte before a", "0123456`-89ab-4cde-8f01-23456789abcd", false},
		{"bad UTF-8 for a digit", "01234567-89ab-4cde-8f01-23456789abc\xff", false},
		{"36 bytes with a full-width digit", "01234567-89ab-4cde-8f01-234567890\xef\xbc\x90", false},
		{"huge", strings.Repeat(someToken, 1000), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			id, ok := grant.ParseID(c.in)
			if ok != c.ok {
				t.Fatalf("ParseID(%q) = %v, want %v", c.in, ok, c.ok)
			}
			if !ok && id != (uuid.UUID{}) {
				t.Errorf("refused, but returned %v", id)
			}
			if ok && id.String() != c.in {
				t.Errorf("ParseID(%q) = %v", c.in, id)
			}
		})
	}
}

// FuzzParseID compares with github.com/google/uuid, of whose many spellings
// exactly one is ours.
func FuzzParseID(f *testing.F) {
	for _, s := range []string{
		someToken, strings.ToUpper(someToken), "{" + someToken + "}", "urn:uuid:" + someToken,
		strings.ReplaceAll(someToken, "-", ""), "", strings.Repeat("-", 36), strings.Repeat("\xff", 36),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, ok := grant.ParseID(s)
		want, err := uuid.Parse(s)
		wantOK := err == nil && want.String() == s
		if ok != wantOK || ok && id != want {
			t.Fatalf("ParseID(%q) = %v, %v; google/uuid says %v, %v", s, id, ok, want, err)
		}
		if ok && string(grant.AppendID(nil, id)) != s {
			t.Fatalf("AppendID does not give %q back: %q", s, grant.AppendID(nil, id))
		}
	})
}

func TestAppendID(t *testing.T) {
	t.Parallel()
	id := uuid.MustParse(someToken)
	if got := string(grant.AppendID([]byte("x="), id)); got != "x="+someToken {
		t.Errorf("AppendID = %q", got)
	}
}
