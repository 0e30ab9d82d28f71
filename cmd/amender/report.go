package main

import (
	"cmp"
	"fmt"
	"io"
	"strconv"

	"github.com/solate/medispatcher/amender"
	"github.com/solate/medispatcher/cmd/internal/cli"
)

// print shows what was done, or with --dry-run would be.
func (j *job) print(report amender.Report) error {
	if j.json {
		return cli.WriteJSON(j.stdout, report, "")
	}
	if report.Vanished > 0 {
		if _, err := fmt.Fprintf(j.stdout, "Taken out of Redis by hand, and lost: %d.\n", report.Vanished); err != nil {
			return err
		}
	}
	if len(report.Rows) == 0 {
		_, err := io.WriteString(j.stdout, "Nothing to amend: every message that was read belongs to a living dispatcher, or waits.\n")
		return err
	}
	t := cli.Table{Header: []string{"CHANNEL", ">PARTITION", "OWNER", ">MESSAGES", ""}}
	for _, row := range report.Rows {
		failed := ""
		if row.Error != "" {
			failed = "failed"
		}
		t.Add(cmp.Or(row.Subscription, "(incoming)"), strconv.Itoa(row.Partition), ownerName(row.Owner), strconv.Itoa(row.GivenBack), failed)
	}
	if err := t.Write(j.stdout); err != nil {
		return err
	}
	done := "given back"
	if j.options.DryRun {
		done = "to be given back"
	}
	_, err := fmt.Fprintf(j.stdout, "%s %s.\n", cli.Counted(int64(report.GivenBack()), "message"), done)
	return err
}

// ownerName is the owner of entries as a person reads it.
func ownerName(owner string) string {
	switch owner {
	case "":
		return "(waiting)"
	case amender.Nobody:
		return "(nobody)"
	}
	return owner
}
