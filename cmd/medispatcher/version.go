package main

import "github.com/solate/medispatcher/cmd/internal/cli"

// Set by the release build: -ldflags "-X main.version=… -X main.commit=… -X main.date=…".
var version, commit, date string

func readBuild() cli.Build { return cli.ReadBuild("medispatcher", version, commit, date) }
