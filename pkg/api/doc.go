// Package api is the vocabulary of /api/v1/: the request and response types,
// the roles, the rules that names must follow, and the one JSON codec. Server,
// client library and command line share it, so a field is spelled in one place.
//
// A secret value, password or token travels in the [Value] type, which prints
// as "[redacted]" everywhere except in [Encode], the codec that writes to the
// wire. Decoding ([Decode]) is strict: unknown or repeated fields, another
// case, invalid UTF-8 and trailing data are errors.
//
// Times are RFC 3339 in UTC, ids are UUIDs (RFC 9562, version 7).
package api
