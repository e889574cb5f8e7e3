package sqlstore

import (
	"fmt"
	"time"
)

// instantLayout is how an instant is written: text that a timestamptz takes,
// and that sorts and compares as itself where there is no such type.
const instantLayout = "2006-01-02T15:04:05.000000Z"

func instantText(t time.Time) string { return t.UTC().Format(instantLayout) }

// instant scans a point in time: a timestamptz, or the text of one.
type instant time.Time

// Scan implements [database/sql.Scanner]. NULL is the zero time.
func (i *instant) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*i = instant{}
	case time.Time:
		*i = instant(v.UTC())
	case string:
		t, err := time.Parse(time.RFC3339Nano, v)
		if err != nil {
			return fmt.Errorf("an instant column holds other text: %w", err)
		}
		*i = instant(t.UTC())
	case []byte:
		return i.Scan(string(v))
	default:
		return fmt.Errorf("an instant column holds %T", src)
	}
	return nil
}
