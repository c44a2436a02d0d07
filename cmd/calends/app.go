package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

// globals are the flags of every command. They win over the environment, which
// wins over the configuration file.
type globals struct {
	Bucket    string        `env:"CALENDS_BUCKET" placeholder:"ADDRESS" help:"Where everything is kept: a folder, file:///path, s3://name/prefix or azblob://name/prefix. Default ./calends-data." group:"Flags of every command:"`
	Config    string        `env:"CALENDS_CONFIG" placeholder:"FILE" help:"Configuration file. Default calends.yaml, if there is one." group:"Flags of every command:"`
	Output    string        `enum:"table,json,csv" default:"table" placeholder:"FORM" help:"Form of the result: table, json or csv." group:"Flags of every command:"`
	Workers   int           `env:"CALENDS_WORKERS" placeholder:"N" help:"How many work at a time; results do not depend on it. Default: one a core." group:"Flags of every command:"`
	Verbose   bool          `xor:"talk" help:"Say more on standard error." group:"Flags of every command:"`
	Quiet     bool          `xor:"talk" help:"Say nothing on standard error but errors." group:"Flags of every command:"`
	LogFormat string        `enum:"text,json" default:"text" placeholder:"FORM" help:"Form of what is said on standard error: text or json." group:"Flags of every command:"`
	LeaseTTL  time.Duration `hidden:"" env:"CALENDS_LEASE_TTL" help:"How long a run may show no sign of life before another takes its lock over. Default 15s."`
	Today     dateArg       `hidden:"" placeholder:"DATE" help:"The day of the run, for tests and demonstrations."`
}

const (
	defaultBucket = "./calends-data"
	defaultConfig = "calends.yaml"
)

// app is what a command works with.
type app struct {
	streams
	globals globals
	log     *slog.Logger
	bar     *progress // nil when nobody watches
}

func newApp(s streams, g globals) *app {
	a := &app{streams: s, globals: g}
	level := slog.LevelInfo
	switch {
	case g.Verbose:
		level = slog.LevelDebug
	case g.Quiet:
		level = slog.LevelError
	}
	options := &slog.HandlerOptions{Level: level}
	if g.LogFormat == "json" {
		a.log = slog.New(slog.NewJSONHandler(s.stderr, options))
	} else {
		a.log = slog.New(slog.NewTextHandler(s.stderr, options))
	}
	if file, ok := s.stderr.(*os.File); ok && !g.Quiet && g.LogFormat == "text" {
		a.bar = newProgress(file)
	}
	return a
}

// env is what jobs work with, on the configured bucket.
func (a *app) env() (jobs.Env, error) {
	config, err := a.config()
	if err != nil {
		return jobs.Env{}, err
	}
	return a.envOn(a.bucketAddress(config), config)
}

// bucketAddress is where everything is kept: the flag's or the environment's, the
// file's, or the default.
func (a *app) bucketAddress(config Config) string {
	return cmp.Or(a.globals.Bucket, config.Bucket.URL, defaultBucket)
}

// envOn is env on a bucket of the command's own.
func (a *app) envOn(address string, config Config) (jobs.Env, error) {
	b, err := bucket.OpenWith(config.Bucket.options(address))
	if err != nil {
		return jobs.Env{}, fmt.Errorf("%w: %w", jobs.ErrUsage, err)
	}
	a.log.Debug("bucket", "address", address)
	env := jobs.Env{
		Bucket:   b,
		Policies: config.policiesOf,
		Version:  version(),
		Today:    a.today(),
		Workers:  a.workers(config),
		Log:      a.log,
	}
	env.Closing = config.Close
	env.LockTTL, env.Waiting = a.globals.LeaseTTL, a.sayWaiting
	if a.bar != nil {
		env.Progress = a.bar.show
	}
	return env, nil
}

// configFile names the configuration file that holds, for people.
func (a *app) configFile() string {
	if a.globals.Config != "" {
		return a.globals.Config
	}
	if _, err := os.Stat(defaultConfig); err != nil {
		return "none; everything is as by default"
	}
	return defaultConfig
}

// config reads the configuration file: the one that was named, or the one in
// the working folder if it is there.
func (a *app) config() (Config, error) {
	name := a.globals.Config
	if name == "" {
		if _, err := os.Stat(defaultConfig); errors.Is(err, fs.ErrNotExist) {
			return defaultsOfConfig(), nil
		}
		name = defaultConfig
	}
	config, err := loadConfig(name)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, fmt.Errorf("%w: %w", jobs.ErrMissing, err)
	}
	if err != nil {
		return Config{}, fmt.Errorf("%w: %w", jobs.ErrUsage, err)
	}
	a.log.Debug("configuration", "file", name)
	return config, nil
}

func (a *app) workers(config Config) int {
	switch {
	case a.globals.Workers > 0:
		return a.globals.Workers
	case config.Workers > 0:
		return config.Workers
	}
	return runtime.GOMAXPROCS(0)
}

// today is read once a run; jobs know no clock.
func (a *app) today() pricing.Date {
	if a.globals.Today.given {
		return a.globals.Today.Date
	}
	now := time.Now().UTC()
	return pricing.DateOf(now.Year(), now.Month(), now.Day())
}

// say tells what is going on, on standard error.
func (a *app) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	a.endProgress()
	switch {
	case a.globals.LogFormat == "json":
		a.log.Info(text)
	case !a.globals.Quiet:
		fmt.Fprintln(a.stderr, text)
	}
}

// sayWaiting tells why nothing happens for a while.
func (a *app) sayWaiting(holder bucket.Holder, most time.Duration) {
	a.say("the bucket's lock is held by another run: %s\nwaiting up to %s for a sign of life from it", holder, most)
}

// complain reports an error. It is the only place that does.
func (a *app) complain(err error) {
	if a.globals.LogFormat == "json" {
		a.log.Error(err.Error())
		return
	}
	fmt.Fprintln(a.stderr, "calends:", err)
}

func (a *app) endProgress() {
	if a.bar != nil {
		a.bar.end()
	}
}
