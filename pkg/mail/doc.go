// Package mail words the mail that Heartlock sends and hands it to an SMTP
// server, or to what stands in for one in development.
package mail
