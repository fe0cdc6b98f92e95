package cmd

import (
	"strings"

	"github.com/heartlock/heartlock/pkg/fault"
)

// inWordsOfTheCommand says what is wrong with the input of an operation in words
// of the command line: names gives, for the places that the operation knows
// ("body.admin.email"), what the person calls them. An error about other places
// stays as it is.
func inWordsOfTheCommand(err error, names map[string]string) error {
	f := fault.As(err)
	if f == nil || len(f.Fields) == 0 {
		return err
	}
	sentences := make([]string, len(f.Fields))
	for i, field := range f.Fields {
		name, ok := names[field.Location]
		if !ok {
			return err
		}
		sentences[i] = sentence(name, field.Message)
	}
	return fault.Wrap(f.Kind, err, strings.Join(sentences, "\n"))
}

// sentence joins a thing with what is said of it: "must be …" goes on, anything
// else stands for itself.
func sentence(name, message string) string {
	separator := ": "
	for _, verb := range []string{"must ", "is ", "can "} {
		if strings.HasPrefix(message, verb) {
			separator = " "
		}
	}
	return strings.TrimSuffix(name+separator+message, ".") + "."
}
