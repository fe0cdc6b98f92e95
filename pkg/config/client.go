package config

// Client is what a command that talks to a server needs to know.
type Client struct {
	Server      ClientValue // a normalised origin: "https://secrets.example.com"
	Token       Secret      // unset: the caller looks into the token store
	TokenSource string      // "--token-file", "HEARTLOCK_TOKEN" or ""
	Project     ClientValue
	Environment ClientValue
	ProjectFile string   // the heartlock.yaml that was read; "" when there is none
	Warnings    []string // sentences for stderr
}

// ClientValue is a setting and where it was found.
type ClientValue struct {
	Text   string // "" when unset
	Source string // "--server", "HEARTLOCK_SERVER", a file's path, "default", or "" when unset
}

// ClientOptions is what the command line says and where the rest is looked for.
type ClientOptions struct {
	WorkDir        string   // heartlock.yaml is looked for here and upwards; "" = the working directory
	UserConfigFile string   // "" = heartlock/config.yaml in the user's configuration directory
	Environ        []string // KEY=value, as os.Environ gives it, which nil stands for

	Server       string // --server; "" = not given
	TokenFile    string // --token-file
	Project      string // --project
	Environment  string // --environment
	InsecureHTTP bool   // --insecure-http: plain http also beyond loopback
}
