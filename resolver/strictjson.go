package resolver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// maxDepth bounds the nesting of an answer.
const maxDepth = 32

// object is a JSON object in which no key, at any depth, came twice.
type object map[string]any

// decodeObject reads exactly one JSON object. encoding/json alone would take a
// duplicated key, one in another case, or null for a string.
func decodeObject(r io.Reader) (object, error) {
	all := object{}
	err := eachMember(r, func(key string, value any) (bool, error) {
		all[key] = value
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// eachMember reads one JSON object member by member, and stops without reading
// on when visit returns false.
func eachMember(r io.Reader, visit func(key string, value any) (bool, error)) error {
	d := json.NewDecoder(r)
	d.UseNumber()
	start, err := d.Token()
	if err != nil {
		return jsonError(err)
	}
	if start != json.Delim('{') {
		return jsonError(errors.New("not an object"))
	}
	if more, err := members(d, 1, visit); err != nil || !more {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return jsonError(errors.New("something follows the object"))
	}
	return nil
}

// members reads up to and including the closing brace.
func members(d *json.Decoder, depth int, visit func(string, any) (bool, error)) (bool, error) {
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return false, jsonError(err)
		}
		key := token.(string) // the decoder lets nothing else through here
		if seen[key] {
			return false, jsonError(fmt.Errorf("the key %s comes twice", quoteAnswer(key)))
		}
		seen[key] = true
		value, err := decodeValue(d, depth)
		if err != nil {
			return false, err
		}
		if more, err := visit(key, value); err != nil || !more {
			return false, err
		}
	}
	if _, err := d.Token(); err != nil {
		return false, jsonError(err)
	}
	return true, nil
}

func decodeValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, jsonError(errors.New("nested too deeply"))
	}
	token, err := d.Token()
	if err != nil {
		return nil, jsonError(err)
	}
	switch token {
	case json.Delim('{'):
		inner := object{}
		_, err := members(d, depth+1, func(key string, value any) (bool, error) {
			inner[key] = value
			return true, nil
		})
		return inner, err
	case json.Delim('['):
		return decodeArray(d, depth+1)
	}
	return token, nil
}

func decodeArray(d *json.Decoder, depth int) ([]any, error) {
	list := []any{}
	for d.More() {
		value, err := decodeValue(d, depth)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	if _, err := d.Token(); err != nil {
		return nil, jsonError(err)
	}
	return list, nil
}

// jsonError marks an error in the JSON as an ErrInvalidAnswer. It returns the
// errors of the connection as they are.
func jsonError(err error) error {
	if errors.Is(err, ErrUnavailable) || errors.Is(err, context.Canceled) ||
		errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: the JSON is malformed: %w", ErrInvalidAnswer, err)
}

// text returns the string at a path of keys.
func (o object) text(path ...string) (string, error) {
	var at any = o
	for _, key := range path {
		inner, ok := at.(object)
		if !ok {
			break
		}
		at = inner[key]
	}
	s, ok := at.(string)
	if !ok {
		return "", fmt.Errorf("%w: %v isn't a string in the JSON", ErrInvalidAnswer, path)
	}
	return s, nil
}

// count reads a JSON number that must be a whole one and not negative.
func count(value any) (uint64, error) {
	number, ok := value.(json.Number)
	if !ok {
		return 0, fmt.Errorf("%w: a count isn't a number", ErrInvalidAnswer)
	}
	n, err := strconv.ParseUint(number.String(), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%w: the count %s", ErrInvalidAnswer, quoteAnswer(number.String()))
	}
	return n, nil
}
