package config

import (
	"fmt"
	"maps"

	"github.com/spf13/viper"
)

// layer is a place that values come from. A higher layer wins.
type layer int

const (
	layerDefault layer = iota
	layerDotenv
	layerEnvironment
	layerAppConfig
	layerFlag
	layerCount
)

// candidate is the value that one layer has for a setting.
type candidate struct {
	value Secret // of any setting: what is not printable need not be known here
	layer layer
	name  string // the variable it was found under, which may be an alias
	alias bool
	line  int // in the .env file
}

func (c candidate) text() string { return c.value.Reveal() }

// source names where the value was found, for the report of the settings.
func (c candidate) source() string {
	if c.alias {
		return c.name + " (alias)"
	}
	switch c.layer {
	case layerFlag:
		return "flag"
	case layerAppConfig:
		return AppConfigName
	case layerEnvironment:
		return "environment"
	case layerDotenv:
		return ".env"
	default:
		return "default"
	}
}

// where is source with what helps to find the place, for messages.
func (c candidate) where() string {
	switch {
	case c.layer == layerDotenv && c.alias:
		return fmt.Sprintf("%s in .env, line %d", c.name, c.line)
	case c.layer == layerDotenv:
		return fmt.Sprintf(".env, line %d", c.line)
	default:
		return c.source()
	}
}

// values are the candidates of one layer, by the name of the setting.
type values map[string]candidate

// layers is the stack of everything that was found.
type layers struct {
	viper  *viper.Viper
	found  [layerCount]values
	masked values // of the .env file: what the environment hides, for the report
}

// newLayers stacks the candidates in a viper, which decides who wins.
//
// The environment goes in beside .env as configuration and not by BindEnv, for
// two reasons: BindEnv reads the environment of the process at some later time,
// and it takes a variable that is set but empty for one that is absent, which
// would let the .env file speak where the environment has said "unset".
// appconfig.json has to win over the environment; in viper only Set does.
func newLayers(found [layerCount]values) (*layers, error) {
	v := viper.New()
	for _, lower := range []layer{layerDotenv, layerEnvironment} {
		if err := v.MergeConfigMap(anyMap(found[lower])); err != nil {
			return nil, err
		}
	}
	for _, upper := range []layer{layerAppConfig, layerFlag} {
		for name, c := range found[upper] {
			v.Set(name, c)
		}
	}
	return &layers{viper: v, found: found}, nil
}

func anyMap(in values) map[string]any {
	out := make(map[string]any, len(in))
	for name, c := range in {
		out[name] = c
	}
	return out
}

// setDefault adds the value that counts when no layer has one.
func (l *layers) setDefault(name, text string) {
	if text != "" {
		l.viper.SetDefault(name, candidate{value: NewSecret(text), name: name})
	}
}

// get is the winning candidate for a setting.
func (l *layers) get(name string) (candidate, bool) {
	c, ok := l.viper.Get(name).(candidate)
	return c, ok
}

// losers are the candidates below the winner that somebody has set, highest first.
func (l *layers) losers(winner candidate, name string) []candidate {
	var list []candidate
	for from := winner.layer - 1; from > layerDefault; from-- {
		c, ok := l.found[from][name]
		if !ok && from == layerDotenv {
			c, ok = l.masked[name]
		}
		if ok {
			list = append(list, c)
		}
	}
	return list
}

// pick finds the values of settings in a set of variables: the canonical name
// first, then the aliases. Empty values count as unset.
func pick(variables map[string]variable, definitions []Definition, from layer) (found values, clashes []Definition) {
	found = values{}
	for _, d := range definitions {
		for i, name := range append([]string{d.Name}, d.Aliases...) {
			v := variables[name]
			if v.text == "" {
				continue
			}
			c := candidate{value: NewSecret(v.text), layer: from, name: name, alias: i > 0, line: v.line}
			if first, taken := found[d.Name]; !taken {
				found[d.Name] = c
			} else if !first.value.Equal(c.value) {
				clashes = append(clashes, d)
				break
			}
		}
	}
	return found, clashes
}

// variable is a named text as it was found in the environment or the .env file.
type variable struct {
	text string
	line int
}

// mask removes from lower what upper has, even when it is empty there.
func mask(lower, upper map[string]variable) map[string]variable {
	lower = maps.Clone(lower)
	maps.DeleteFunc(lower, func(name string, _ variable) bool {
		_, masked := upper[name]
		return masked
	})
	return lower
}
