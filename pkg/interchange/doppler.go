package interchange

import "strings"

// doppler reads
//   - `doppler secrets download --no-file --format json`: {"KEY": "value"};
//   - `doppler secrets --json`: {"KEY": {"computed": "value", "raw": …, "note": …}};
//   - what the API answers: the same below "secrets", beside "success";
//   - `--format env`: KEY="value". The formats docker and env-no-quotes do not
//     tell where a value with a line break ends, and are refused.
//
// The computed value is taken, in which references to other secrets are resolved.
func (r *reader) doppler(data []byte) *File {
	if !looksLikeJSON(data) {
		return r.dopplerText(data)
	}
	root := r.document(data)
	if root == nil {
		return nil
	}
	if secrets := root.get("secrets"); secrets != nil && isObject(secrets) && isDopplerAnswer(root) {
		root = secrets
	}
	switch {
	case root.kind != object:
		r.problem(root.place(), "", "It is not an object, which 'doppler secrets download --format json' and 'doppler secrets --json' write.")
		return nil
	case len(root.members) > 0 && root.all(isObject):
		return &File{Form: "Doppler's list of secrets", Groups: groupOf(r.withoutDopplersOwn(r.dopplerSecrets(root)))}
	default:
		return &File{Form: "Doppler's JSON download", Groups: groupOf(r.withoutDopplersOwn(r.flat(root)))}
	}
}

// isDopplerAnswer reports whether an object is an answer of Doppler's API, which
// has nothing but "secrets" and, in some versions, "success".
func isDopplerAnswer(root *node) bool {
	success := root.get("success")
	return len(root.members) == 1 || len(root.members) == 2 && success != nil && success.kind == truth
}

func (r *reader) dopplerText(data []byte) *File {
	before := len(r.problems)
	file := r.dotenv(data, quoting{
		form: "Doppler's env download", quotes: `"`,
		lacks: "Its value is not in double quotes, in which --format env puts every one.",
	})
	if len(r.problems) > before {
		r.problem("", "", "A file from 'doppler secrets download' that can not be read line by line, and its YAML, are best downloaded once more with --format json, which keeps every value as it is.")
		return file
	}
	for i := range file.Groups {
		file.Groups[i].Secrets = r.withoutDopplersOwn(file.Groups[i].Secrets)
	}
	return file
}

func (r *reader) dopplerSecrets(root *node) []Secret {
	var secrets []Secret
	for _, m := range root.members {
		computed, raw, note := m.value.get("computed"), m.value.get("raw"), m.value.get("note")
		if computed == nil || computed.kind != text {
			r.problem(m.place(), m.name, "There is no computed value. Doppler leaves it out of a secret that the token may not read (restricted).")
			continue
		}
		s := Secret{Key: m.name, Value: textValue(computed), Place: m.place()}
		if note != nil && note.kind == text && note.text != "" {
			s.Comment = &note.text
		}
		if raw != nil && raw.kind == text && raw.text != computed.text {
			r.note(m.place(), m.name, "It refers to other secrets of Doppler. What it is now is taken, and does not follow them any more.")
		}
		secrets = append(secrets, s)
	}
	return secrets
}

// withoutDopplersOwn leaves out what Doppler adds itself to say where the
// secrets are from.
func (r *reader) withoutDopplersOwn(secrets []Secret) []Secret {
	var kept []Secret
	var left []string
	for _, s := range secrets {
		switch s.Key {
		case "DOPPLER_PROJECT", "DOPPLER_ENVIRONMENT", "DOPPLER_CONFIG":
			left = append(left, s.Key)
		default:
			kept = append(kept, s)
		}
	}
	if len(left) > 0 {
		r.note("", "", "Left out, because Doppler adds it itself: "+strings.Join(left, ", ")+".")
	}
	return kept
}
