package config

// The variables of the client.
const (
	varServer      = "HEARTLOCK_SERVER"
	varToken       = "HEARTLOCK_TOKEN"
	varProject     = "HEARTLOCK_PROJECT"
	varEnvironment = "HEARTLOCK_ENVIRONMENT"
)
