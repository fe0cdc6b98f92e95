package interchange

import (
	"slices"
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
)

func textValue(n *node) api.Value { return api.NewValue(n.text) }

// vault reads what Vault and OpenBao, and the tools around them, write:
//   - `vault kv get -format=json PATH`, of the engine's version 1, where the
//     secrets are below "data", and of version 2, below "data" in "data";
//   - the bare data, as -field=data and jq write it;
//   - trees of paths, as `medusa export` and `vkv export` write them, in JSON or
//     YAML. Each path that has secrets is a group.
func (r *reader) vault(data []byte) *File {
	var root *node
	if looksLikeJSON(data) {
		root = r.document(data)
	} else {
		root = r.yaml(data)
	}
	switch {
	case root == nil:
		return nil
	case root.kind != object:
		r.problem(root.place(), "", "It is not an object, which 'vault kv get -format=json' writes.")
		return nil
	case isVaultAnswer(root):
		return r.vaultAnswer(root)
	case len(root.members) > 0 && root.all(isObject):
		file := &File{Form: "a tree of paths from Vault"}
		r.tree(file, nil, root)
		r.refuseMasked(file)
		return file
	}
	return &File{Form: "the data of one path of Vault", Groups: groupOf(r.flat(root))}
}

// isVaultAnswer reports whether it is an answer of Vault's API as the command
// prints it, rather than data of a person who happens to have these names.
func isVaultAnswer(root *node) bool {
	data := root.get("data")
	return data != nil && (isObject(data) || data.kind == null) && root.get("lease_duration") != nil && root.get("renewable") != nil
}

func (r *reader) vaultAnswer(root *node) *File {
	data := root.get("data")
	if data.kind == null {
		r.problem(data.place(), "data", "There is nothing at this path.")
		return nil
	}
	inner, metadata := data.get("data"), data.get("metadata")
	if len(data.members) != 2 || inner == nil || metadata == nil || metadata.get("version") == nil {
		return &File{Form: "Vault's answer (KV version 1)", Groups: groupOf(r.flat(data))}
	}
	if inner.kind == null {
		r.problem(inner.place(), "data", "This version was deleted in Vault. Get another one with -version.")
		return nil
	}
	if custom := metadata.get("custom_metadata"); custom != nil && len(custom.members) > 0 {
		r.note(custom.place(), "", "The custom metadata of the path is not taken over.")
	}
	return &File{Form: "Vault's answer (KV version 2)", Groups: groupOf(r.flat(inner))}
}

// tree makes a group of each object that holds values. One that holds values
// and objects can be a path with paths below it as well as a value that is an
// object, so it is a problem unless values are asked for as JSON.
func (r *reader) tree(file *File, path []string, n *node) {
	switch {
	case len(n.members) == 0:
		return
	case n.all(isObject):
		for _, m := range n.members {
			r.tree(file, append(slices.Clone(path), strings.Trim(m.name, "/")), m.value)
		}
		return
	}
	secrets := r.flat(n)
	name := strings.Trim(strings.Join(path, "/"), "/")
	file.Groups = append(file.Groups, Group{Name: name, Secrets: secrets})
}

// refuseMasked turns away a tree in which every value is stars: vkv writes them
// instead of the values unless it is told to show these.
func (r *reader) refuseMasked(file *File) {
	for _, g := range file.Groups {
		for _, s := range g.Secrets {
			if s.Value.Len() == 0 || strings.Trim(s.Value.Reveal(), "*") != "" {
				return
			}
		}
	}
	if len(file.Groups) > 0 {
		r.problem("", "", "Every value is masked with stars. With --show-values vkv writes the values themselves.")
	}
}
