// Package client talks to a Heartlock server from Go. The command line is built
// on it, and other programs may be:
//
//	c, err := client.New(client.Options{
//		Server: "https://secrets.example.com",
//		Token:  api.NewValue(os.Getenv("HEARTLOCK_TOKEN")),
//	})
//	…
//	secret, err := c.Secret(ctx, client.Environment{Project: "shop", Slug: "production"}, "DATABASE_URL")
//
// # What a call does
//
// Each method stands for one endpoint of /api/v1/ and sends exactly one request,
// except the lists, which ask for one page after the other as they are iterated.
// Nothing is sent a second time after a failure.
//
// A failure is a [*fault.Error]. An answer of the server keeps its kind over the
// wire, so errors.Is(err, fault.NotFound) reads the same as in the server; the
// message is the server's own sentence, and below it lies a [*ResponseError]
// with the status and the request id, for logs. A server that can not be
// reached, or that answers something that is no answer of Heartlock, is
// [fault.Unavailable].
//
// # Where the token goes
//
// The token is sent to the configured server and nowhere else: redirects are
// never followed, cookies are neither kept nor sent, and plain http is refused
// before a connection is made unless the server is this machine or
// [Options.InsecureHTTP] allows it.
package client
