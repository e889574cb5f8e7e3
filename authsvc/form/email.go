package form

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Email accepts what marshmallow's validator of addresses does, and produces
// the string as it was sent: a local part of atoms between dots, or a quoted
// one, and after the last @ a domain name of two labels at least, localhost, or
// an IPv4 address in brackets. A name that is not ASCII counts when its IDNA
// form is one.
//
// Differences: an address longer than [MaxEmail] is none, and names are read by
// UTS 46, which knows more of Unicode than the IDNA of 2003.
type Email struct{}

// MaxEmail is the length of the longest address in bytes: four times what any
// mail system takes (RFC 5321 §4.5.3.1.3), and less than what an index can hold.
const MaxEmail = 1024

// Load implements [Kind]. That a text is no address is found by a validator,
// and so is one entry of a list; that it is no text at all is not.
func (Email) Load(v any) (any, Entry) {
	wrong := WrongType("email address", "email")
	s, ok := v.(string)
	if !ok {
		return nil, wrong
	}
	if !isEmail(s) {
		return nil, Messages{wrong}
	}
	return s, nil
}

func isEmail(s string) bool {
	at := strings.LastIndexByte(s, '@')
	// IDNA would make a letter of what is no character.
	if at < 0 || len(s) > MaxEmail || strings.ContainsRune(s, utf8.RuneError) || !localPart.MatchString(s[:at]) {
		return false
	}
	domain := s[at+1:]
	if domain == "localhost" || domainPart.MatchString(domain) {
		return true
	}
	ascii, err := toASCII.ToASCII(domain)
	return err == nil && ascii != domain && domainPart.MatchString(ascii)
}

// The expressions ignore case as Python does, for which İ, ı, ſ and the Kelvin
// sign are letters from A to Z, too; (?i) adds the latter two.
var (
	localPart = regexp.MustCompile("^(?:" +
		"[-!#$%&'*+/=?^`{}|~\\pL\\pN_]+(?:\\.[-!#$%&'*+/=?^`{}|~\\pL\\pN_]+)*" +
		`|"(?:[\x01-\x08\x0b\x0c\x0e-\x1f!#-\[\]-\x7f]|\\[\x01-\x09\x0b\x0c\x0e-\x7f])*"` +
		")$")
	domainPart = regexp.MustCompile(`(?i)^(?:` +
		`(?:[A-Zİı0-9](?:[A-Zİı0-9-]{0,61}[A-Zİı0-9])?\.)+(?:[A-Zİı]{2,6}|[A-Zİı0-9-]{2,})` +
		`|\[(?:25[0-5]|2[0-4]\p{Nd}|[01]?\p{Nd}?\p{Nd})(?:\.(?:25[0-5]|2[0-4]\p{Nd}|[01]?\p{Nd}?\p{Nd})){3}\]` +
		`)$`)
)

// toASCII is IDNA as the reference's library has it: ß is ss, and hyphens and
// characters that no host name has are for domainPart to refuse.
var toASCII = idna.New(idna.MapForLookup(), idna.Transitional(true), idna.BidiRule(),
	idna.StrictDomainName(false), idna.CheckHyphens(false), idna.CheckJoiners(false), idna.ValidateLabels(false), idna.VerifyDNSLength(true))
