package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/alecthomas/kong"
)

// cli is the command line: a field a command, each in a file of its own.
type cli struct {
	Globals globals  `embed:""`
	Help    helpFlag `short:"h" help:"Show help; after a command, that command's." group:"Flags of every command:"`

	Demo      demoCmd      `cmd:"" help:"Run the whole job on the shipped demo data, from nothing."`
	Ingest    ingestCmd    `cmd:"" help:"Take input files into the bucket."`
	Bill      billCmd      `cmd:"" help:"Compute a month: draft invoices and exceptions."`
	Approve   approveCmd   `cmd:"" help:"Approve a month's draft, or list its approvals."`
	Close     closeCmd     `cmd:"" help:"Number and freeze a month."`
	Export    exportCmd    `cmd:"" help:"Copy a month's files into a folder, or below a prefix of a store."`
	Reconcile reconcileCmd `cmd:"" help:"Compare a month with Microsoft's own file; every difference with its cause."`
	Connect   connectCmd   `cmd:"" help:"Set up, and check, the connection to Microsoft."`
	Status    statusCmd    `cmd:"" help:"Tell where every month stands and what was taken in."`
	Verify    verifyCmd    `cmd:"" help:"Read everything again and prove that it adds up."`
	Repair    repairCmd    `cmd:"" help:"Mend what can be mended of a damaged bucket."`
	GC        gcCmd        `cmd:"" name:"gc" help:"Remove what interrupted runs have left."`
	Explain   explainCmd   `cmd:"" help:"Say how a line came about: change, price, cycle, policy, arithmetic."`
	Story     storyCmd     `cmd:"" name:"subscription" help:"Tell a subscription's story: where it stands, what happened, every line."`
	Quote     quoteCmd     `cmd:"" help:"Say what a change would bill, without recording it."`
	Prices    pricesCmd    `cmd:"" help:"Look up, list and compare price sheets."`
	Offers    offersCmd    `cmd:"" help:"Find what can be bought in a market."`
	Schedule  scheduleCmd  `cmd:"" help:"Run jobs by themselves, by the calendar, until it is stopped."`
	Serve     serveCmd     `cmd:"" help:"Answer programs and people over HTTP, until it is stopped."`
	RunJob    runJobCmd    `cmd:"" name:"run" help:"Run one job now, or all that is due."`
	Runs      runsCmd      `cmd:"" help:"List what ran, or show one run in full."`
	Token     tokenCmd     `cmd:"" help:"Make, list and take back tokens for programs that ask calends serve."`
	Config    configCmd    `cmd:"" help:"Check the configuration."`
	Bench     benchCmd     `cmd:"" help:"Bill an invented month of any size, and say how long it took."`
	Version   versionCmd   `cmd:"" help:"Print the program's version."`
}

const about = `Invoices for Microsoft CSP partners, from what happened to their subscriptions.

Try it: calends demo

Exit codes:
    0  done; warnings alone are 0 too
    1  failed, or verify found something wrong
    2  wrong usage, or a configuration that cannot be read
    3  done, with exceptions or differences to look at
    4  an input is missing: take it in, then run again
    5  another run holds the bucket's lock: wait, then run again
  130  stopped by Ctrl-C or SIGTERM; running again finishes the job`

// streams are where a command reads and writes.
type streams struct {
	stdin  io.Reader
	stdout io.Writer // results, and nothing else
	stderr io.Writer // talk, progress, errors
}

// errHelp ends parsing when help was asked for and printed.
var errHelp = errors.New("help was printed")

// helpFlag prints the help. Kong's own would end the process.
type helpFlag bool

// BeforeReset is called by kong as soon as the flag is seen, whatever else is
// missing on the command line.
func (helpFlag) BeforeReset(ctx *kong.Context) error {
	if err := ctx.PrintUsage(false); err != nil {
		return err
	}
	return errHelp
}

// run is the whole program but for the process around it. It returns the exit code.
func run(ctx context.Context, args []string, s streams) int {
	var line cli
	parser, err := kong.New(&line, kong.Name("calends"), kong.Description(about), kong.NoDefaultHelp(),
		kong.Writers(s.stdout, s.stderr), kong.ConfigureHelp(kong.HelpOptions{
			Compact: true, NoAppDescFormat: true, FlagsLast: true, WrapUpperBound: 100,
		}))
	if err != nil {
		fmt.Fprintln(s.stderr, "calends: command line:", err)
		return exitFailed
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if errors.Is(err, errHelp) {
		return exitDone
	}
	if err != nil {
		return reportUsage(s.stderr, err)
	}
	a := newApp(s, line.Globals)
	command.BindTo(ctx, (*context.Context)(nil))
	begin := time.Now()
	code := a.exit(ctx, command.Run(a))
	a.log.Debug("done", "command", command.Selected().Path(), "exitCode", code, "took", time.Since(begin))
	return code
}

// reportUsage prints what is wrong with the command line and where help is.
func reportUsage(w io.Writer, err error) int {
	fmt.Fprintln(w, "calends:", err)
	help := "calends --help"
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil {
		if node := parse.Context.Selected(); node != nil {
			help = node.FullPath() + " --help"
		}
	}
	fmt.Fprintln(w, "see:", help)
	return exitUsage
}

// oneOrAll is what JSON shows of a command that takes one thing or several: one
// stands for itself, several are a list.
func oneOrAll[T any](all []T) any {
	if len(all) == 1 {
		return all[0]
	}
	return slices.Clip(all)
}
