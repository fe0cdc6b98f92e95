package api

// The formats of text that an environment's secrets are exported to. Those that
// can be imported are ImportFormats.
const (
	FormatDotenv = "dotenv" // NAME=value, for .env readers
	FormatShell  = "shell"  // export NAME='value', for a POSIX shell to source
	FormatDocker = "docker" // NAME=value, for docker run --env-file
	FormatJSON   = "json"   // {"NAME": "value"}
	FormatYAML   = "yaml"   // NAME: "value"
	FormatK8s    = "k8s"    // a manifest of a Kubernetes Secret
	FormatTFVars = "tfvars" // NAME = "value", variables of Terraform and OpenTofu
)

// ExportFormats are the formats that an environment can be exported to.
func ExportFormats() []string {
	return []string{FormatDotenv, FormatShell, FormatDocker, FormatJSON, FormatYAML, FormatK8s, FormatTFVars}
}

// ImportFormats are the formats of text that can be imported.
func ImportFormats() []string { return []string{FormatDotenv, FormatJSON, FormatYAML} }

// Export is an environment's secrets as the text of a file.
type Export struct {
	Format   string
	FileName string // for who saves it, such as "shop-production.env"; ASCII without quotes
	// MediaType is that of the text, with its charset where it has one.
	MediaType string
	Text      Value
	Revision  int64 // of the environment, of which the text is
	// Notes say of secrets, by their keys, that some programs which read this format
	// take them for something else. They hold no value.
	Notes []string
}

// MaxImportBytes is how long a text that is imported may be. (The body of a request
// has a bound of its own, which is lower.)
const MaxImportBytes = 2 * MaxEnvironmentBytes

// ImportRequest takes secrets from a text. What is there already with another
// value stays as it is unless Overwrite says otherwise.
type ImportRequest struct {
	Text      Value `json:"text"`
	DryRun    bool  `json:"dry_run,omitempty"`   // only say what would change
	Overwrite bool  `json:"overwrite,omitempty"` // replace values that differ
	// DeleteMissing removes the secrets of the environment that are not in the text.
	DeleteMissing bool `json:"delete_missing,omitempty"`
}

// ImportResult says what an import changed, by key, in order.
type ImportResult struct {
	Revision  int64        `json:"revision"`
	Created   []string     `json:"created"`
	Updated   []string     `json:"updated"`
	Unchanged []string     `json:"unchanged"`
	Kept      []string     `json:"kept"` // there with another value, and not overwritten
	Deleted   []string     `json:"deleted"`
	DryRun    bool         `json:"dry_run"`
	Warnings  []string     `json:"warnings,omitempty"`
	Notes     []ImportNote `json:"notes"` // what may surprise, in the order of the text
}

// ImportNote is something to know about a line of a text that was imported. It
// holds no value.
type ImportNote struct {
	Place string `json:"place"` // "line 3", or empty for the text as a whole
	Key   string `json:"key,omitempty"`
	Text  string `json:"text"`
}
