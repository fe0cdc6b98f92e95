// Package config is the one place that reads settings: the server's
// ([LoadServer]) and the command line client's ([LoadClient]).
//
// A server setting comes from the first of these that has it: a command-line
// flag, heartlock_data/appconfig.json (only the settings that the set-up wizard
// and the admin API manage), the process environment, the .env file, the
// default. An empty value counts as unset everywhere. The table in settings.go
// names every variable once, with its aliases, its default, its reader and the
// sentence that explains it; loading, the report of [Server.Settings] and the
// documentation are all made from that table.
//
// spf13/viper holds the layers and decides which one wins. It never casts: its
// typed getters turn "yes" into false and "abc" into 0 without a word, so every
// text is read by a strict reader of this package (casts.go), and whatever a
// reader does not understand is an error that names the variable.
//
// Loading reads files and nothing else: it opens no port and no database, and
// it creates nothing. All bad variables are reported together, as one [*Errors]
// of kind [fault.Usage]. No error, warning or report holds the value of a
// secret, or any part of a text that may contain one.
package config
