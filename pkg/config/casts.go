package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// parseBool reads a truth value: true, on, ok, y, yes or any integer but 0; or
// false, off, no, n or 0. Case and surrounding spaces do not matter. Whatever
// else Django's reader silently took for False is an error here.
func parseBool(text string) (bool, error) {
	word := strings.ToLower(strings.TrimSpace(text))
	switch word {
	case "true", "on", "ok", "y", "yes":
		return true, nil
	case "false", "off", "no", "n":
		return false, nil
	}
	if isInteger(word) {
		return strings.Trim(word, "+-0") != "", nil
	}
	return false, fmt.Errorf("%s is neither true nor false; write True or False", shown(text))
}

// parseInt reads a decimal integer from lowest to highest. Leading zeros do not
// make it octal.
func parseInt(text string, lowest, highest int) (int, error) {
	word := strings.TrimSpace(text)
	if !isInteger(word) {
		return 0, fmt.Errorf("%s is not a whole number; write a number from %d to %d", shown(text), lowest, highest)
	}
	n, err := strconv.Atoi(word)
	if err != nil || n < lowest || n > highest {
		return 0, fmt.Errorf("%s is out of range; write a number from %d to %d", shown(text), lowest, highest)
	}
	return n, nil
}

// isInteger reports whether text is an optional sign and ASCII digits.
func isInteger(text string) bool {
	if text != "" && (text[0] == '+' || text[0] == '-') {
		text = text[1:]
	}
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// parseList splits text at commas, trims the items and drops empty ones. Other
// ways to write a list are errors, because their first and last items would
// never match anything. Items are not repeated in the error.
func parseList(text string) ([]string, error) {
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	for i, item := range items {
		if err := checkListItem(item); err != nil {
			return nil, fmt.Errorf("item %d %w", i+1, err)
		}
	}
	return items, nil
}

func checkListItem(item string) error {
	switch {
	case strings.ContainsAny(item, `"'`+"`"):
		return errors.New("has quotes; write a,b without quotes")
	case strings.Contains(item, ";"):
		return errors.New("has a semicolon; separate the items with commas")
	case strings.ContainsAny(item, " \t\r\n\v\f"):
		return errors.New("has a space inside; separate the items with commas")
	case isWrapped(item):
		return errors.New("has a bracket; write a,b without brackets")
	}
	return nil
}

// isWrapped notices JSON arrays and tuples, but not "[::1]".
func isWrapped(item string) bool {
	if strings.ContainsAny(item, "(){}") {
		return true
	}
	return strings.ContainsAny(item, "[]") && !strings.Contains(item, ":")
}
