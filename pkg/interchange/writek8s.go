package interchange

import (
	"bytes"
	"encoding/base64"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// What Kubernetes holds a Secret to (k8s.io/api/core/v1 and
// k8s.io/apimachinery/pkg/util/validation).
const (
	maxK8sKey    = 253     // DNS1123SubdomainMaxLength
	maxK8sSecret = 1 << 20 // MaxSecretSize, of all values together
)

func refuseK8s(s Secret) string {
	if len(s.Key) > maxK8sKey {
		return fmt.Sprintf("The name is longer than the %d characters that a key of a Kubernetes Secret may have.", maxK8sKey)
	}
	return ""
}

// writeK8s is the manifest of a Secret. The values stand below data, in base64,
// rather than below stringData: that is only ever added to what is there, so that
// `kubectl apply` would not remove what has left the manifest.
func writeK8s(b *bytes.Buffer, name string, secrets []Secret) ([]Note, error) {
	total := 0
	data := &yaml.Node{Kind: yaml.MappingNode}
	for _, s := range secrets {
		total += s.Value.Len()
		encoded := base64.StdEncoding.EncodeToString([]byte(s.Value.Reveal()))
		data.Content = append(data.Content, yamlText(s.Key, keyStyle(s.Key)), yamlText(encoded, yaml.DoubleQuotedStyle))
	}
	if total > maxK8sSecret {
		return nil, &Error{[]Problem{{Reason: fmt.Sprintf("The values have more than %d MiB together, the most that a Kubernetes Secret holds.", maxK8sSecret>>20)}}}
	}
	if len(secrets) == 0 {
		data.Style = yaml.FlowStyle
	}
	return nil, encodeYAML(b, yamlObject(
		yamlText("apiVersion", 0), yamlText("v1", 0),
		yamlText("kind", 0), yamlText("Secret", 0),
		yamlText("metadata", 0), yamlObject(yamlText("name", 0), yamlText(name, 0)), // the library quotes what needs it
		yamlText("type", 0), yamlText("Opaque", 0),
		yamlText("data", 0), data,
	))
}

func yamlObject(content ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.MappingNode, Content: content}
}
