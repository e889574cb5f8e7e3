package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"gopkg.in/yaml.v3"
)

// maxDepth bounds the nesting of a JSON file; the YAML parser has a bound of
// its own.
const maxDepth = 1000

var errDepth = errors.New("the JSON is nested too deeply")

// parseJSON reads JSON into the nodes YAML is read into, lines included.
func parseJSON(data []byte) (*yaml.Node, error) {
	j := &jsonParser{data: data, dec: json.NewDecoder(bytes.NewReader(data)), line: 1}
	j.dec.UseNumber()
	root, err := j.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := j.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON")
	}
	return root, nil
}

type jsonParser struct {
	data []byte
	dec  *json.Decoder
	seen int // bytes whose lines are counted
	line int
}

func (j *jsonParser) token() (json.Token, error) {
	tok, err := j.dec.Token()
	if end := int(j.dec.InputOffset()); end > j.seen {
		j.line += bytes.Count(j.data[j.seen:end], []byte("\n"))
		j.seen = end
	}
	return tok, err
}

func (j *jsonParser) value(depth int) (*yaml.Node, error) {
	tok, err := j.token()
	if err != nil {
		return nil, err
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: j.line}
	switch t := tok.(type) {
	case string:
		n.Tag, n.Value = "!!str", t
	case json.Number:
		n.Tag, n.Value = "!!float", t.String()
	case bool:
		n.Tag, n.Value = "!!bool", "false"
		if t {
			n.Value = "true"
		}
	case nil:
		n.Tag, n.Value = "!!null", "null"
	case json.Delim:
		if depth == maxDepth {
			return nil, errDepth
		}
		n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		if t == '{' {
			n.Kind, n.Tag = yaml.MappingNode, "!!map"
		}
		// In an object keys and values alternate, as they do in the node.
		for j.dec.More() {
			child, err := j.value(depth + 1)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, child)
		}
		if _, err := j.token(); err != nil {
			return nil, err
		}
	}
	return n, nil
}
