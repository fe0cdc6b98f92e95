//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
)

// answerReader reads HTTP/1.1 answers of known length from a connection. It does
// no more than that, because the load shares the machine with what it measures:
// net/http's client would cost more than the floor server.
type answerReader struct {
	r    *bufio.Reader
	body []byte
}

// next reads an answer. The body is valid until the next one.
func (a *answerReader) next() (status int, body []byte, err error) {
	line, err := a.line()
	if err != nil {
		return 0, nil, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, nil, fmt.Errorf("not an HTTP answer: %.80q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, nil, err
	}
	length, err := a.headers()
	if err != nil {
		return 0, nil, err
	}
	if length < 0 {
		if status != 304 && status != 204 {
			return 0, nil, fmt.Errorf("answer %d without Content-Length", status)
		}
		return status, nil, nil
	}
	if cap(a.body) < length {
		a.body = make([]byte, length)
	}
	a.body = a.body[:length]
	_, err = io.ReadFull(a.r, a.body)
	return status, a.body, err
}

// headers reads up to the empty line and returns the Content-Length, or -1.
func (a *answerReader) headers() (length int, err error) {
	length = -1
	for {
		line, err := a.line()
		if err != nil {
			return 0, err
		}
		if len(line) == 0 {
			return length, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, err
			}
		}
	}
}

func (a *answerReader) line() ([]byte, error) {
	line, err := a.r.ReadSlice('\n')
	return bytes.TrimRight(line, "\r\n"), err
}
